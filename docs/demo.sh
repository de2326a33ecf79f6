#!/usr/bin/env bash
# The main job on real wheels: two teams' folders into one store, an index, an install from it, verify, invalidate, gc.
#
#   docs/demo.sh             builds wcas first
#   WCAS=/path/to/wcas docs/demo.sh
#   KEEP=1 docs/demo.sh      leaves its folder to look around in
#
# Needs python3 (3.9 or newer, with venv) and a package index that pip can reach. Downloads about 35 MB.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"

say() { printf '\n# %s\n' "$*"; }
show() {
    printf '$ %s\n' "$*"
    "$@"
}
wcas() {
    printf '$ wcas %s\n' "$*"
    "$WCAS" "$@"
}

find_python() {
    local candidate
    for candidate in python3 python3.{14,13,12,11,10,9} "$HOME"/.pyenv/versions/*/bin/python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no python3 of 3.9 or newer with the venv module (on Debian: apt-get install python3-venv)" >&2
    return 1
}
python="$(find_python)"

if [ -z "${WCAS:-}" ]; then
    (cd "$root" && show cargo build --release --locked)
    WCAS="${CARGO_TARGET_DIR:-$root/target}/release/wcas"
fi
# The rest runs in another folder.
WCAS="$(cd "$(dirname "$WCAS")" && pwd)/$(basename "$WCAS")"

dir="$(mktemp -d "${TMPDIR:-/tmp}/wcas-demo.XXXXXX")"
leave() {
    if [ -n "${KEEP:-}" ]; then
        printf '\nkept: %s\n' "$dir"
    else
        chmod -R u+w "$dir"
        rm -rf "$dir"
    fi
}
trap leave EXIT
cd "$dir"
export WCAS_STORE="$dir/store" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# A second Python version makes the second team's folder differ where wheels are built, and agree where they are pure.
own="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
other=3.12
[ "$own" = 3.12 ] && other=3.11

say "Two teams keep a folder of wheels each: one for Python $own, one for $own and $other"
"$python" -m venv fetch
download() {
    local to="$1"
    shift
    show fetch/bin/pip download --quiet --only-binary=:all: --dest "$to" "$@" requests flask pyyaml numpy
}
download team-shared
download team-cuda
download team-cuda --python-version "$other"
for team in team-shared team-cuda; do
    echo "$team: $(find "$team" -name '*.whl' | wc -l | tr -d ' ') wheels, $(du -sk "$team" | cut -f1) KiB"
done

say "Into one store: the second import finds the pure wheels there"
wcas import team-shared --collection shared
wcas import team-cuda --collection cuda
say "Again: nothing has changed"
wcas import team-cuda --collection cuda
wcas list --collection shared
wcas stats

say "An index page, and an install from it and from nothing else"
printf '$ wcas view --collection cuda > cuda.html\n'
"$WCAS" view --collection cuda >cuda.html
show head -n 12 cuda.html
"$python" -m venv from-page
show from-page/bin/pip install --quiet --no-index --find-links "file://$dir/cuda.html" flask requests numpy
show from-page/bin/python -c 'import flask, numpy, requests; print("numpy", numpy.__version__, "requests", requests.__version__)'

say "A folder of links: no bytes copied"
wcas view --collection shared --to wheels --layout flat
show du -sk wheels
"$python" -m venv from-folder
show from-folder/bin/pip install --quiet --no-index --find-links wheels flask
show from-folder/bin/python -c 'import flask; print("flask", flask.__file__)'

say "Every byte read again, on all cores"
wcas verify --parallel

say "The second team drops numpy: the wheel that the first team has too stays, the other goes"
wcas invalidate numpy --collection cuda
wcas gc --dry-run --grace 0
wcas gc --grace 0
wcas lookup numpy --collection shared
wcas stats
wcas verify --parallel
