#!/usr/bin/env bash
# Makes the Python environment with the clients that the tests run (pip, uv) and prints the path of its interpreter.
#
#   export WCAS_TEST_PYTHON="$(tests/clients.sh)"
#
# It lives under target/, is made once, and is made anew when the pins below change. Exits 1 when it cannot be made.
set -euo pipefail
cd "$(dirname "$0")/.."

pins="pip==26.3 uv==0.13.9 packaging==26.3"
venv="$PWD/target/clients"
python="$venv/bin/python"

# The stamp is written last: an environment half made has none.
if [ "$(cat "$venv/pins" 2>/dev/null)" = "$pins" ] && "$python" -c "" 2>/dev/null; then
    echo "$python"
    exit
fi

find_python() {
    local candidate
    for candidate in python3 python3.{14,13,12,11,10} "$HOME"/.pyenv/versions/*/bin/python3; do
        # pip 26.3 needs 3.10; some distributions ship python3 without venv.
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no python3 of 3.10 or newer with the venv module (on Debian: apt-get install python3-venv)" >&2
    return 1
}

base="$(find_python)"
echo "making $venv with $("$base" --version): $pins" >&2
"$base" -m venv --clear "$venv" >&2
# shellcheck disable=SC2086 # one word a pin
"$python" -m pip install --quiet --disable-pip-version-check --no-input $pins >&2
echo "$pins" >"$venv/pins"
echo "$python"
