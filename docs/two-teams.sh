#!/usr/bin/env bash
# Two teams, for CUDA and for Gaudi, share one store. Each has two caches to pull from, and one of the two is down.
#
#   docs/two-teams.sh        builds wcas first
#   WCAS=/path/to/wcas docs/two-teams.sh
#   KEEP=1 docs/two-teams.sh leaves its folder to look around in
#
# Needs python3 (3.9 or newer, with pip) and a package index that pip can reach. Downloads about 4 MB, takes less than a minute. All wheels
# are real ones; the caches are a second store's trees, served by Python's http.server on this machine.
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
# Runs wcas where another exit code than 0 is the point.
ends_with() {
    local wanted="$1" code=0
    shift
    wcas "$@" || code=$?
    echo "(exit $code)"
    [ "$code" = "$wanted" ] || { echo "expected exit $wanted" >&2; exit 1; }
}

find_python() {
    local candidate
    for candidate in python3 python3.{14,13,12,11,10,9} "$HOME"/.pyenv/versions/*/bin/python3; do
        if "$candidate" -c 'import pip, sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no python3 of 3.9 or newer with pip" >&2
    return 1
}
python="$(find_python)"

if [ -z "${WCAS:-}" ]; then
    (cd "$root" && show cargo build --release --locked)
    WCAS="${CARGO_TARGET_DIR:-$root/target}/release/wcas"
fi
# The rest runs in another folder.
WCAS="$(cd "$(dirname "$WCAS")" && pwd)/$(basename "$WCAS")"

dir="$(mktemp -d "${TMPDIR:-/tmp}/wcas-two-teams.XXXXXX")"
servers=()
leave() {
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
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
# A proxy has no business between two programs on one machine.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

say "What the build farm has built, and what each team has built itself"
download() {
    local to="$1"
    shift
    show "$python" -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --python-version 3.11 \
        --dest "$to" "$@"
}
download farm-cuda nvidia-nvtx-cu12==12.4.127 nvidia-cuda-runtime-cu12==12.4.127 habana-quantization-toolkit==1.17.1.40
download farm-gaudi habana-media-loader==1.24.1.482
download cuda-built nvidia-cuda-runtime-cu12==12.4.127 pyyaml==6.0.2 requests==2.32.3
download gaudi-built pyyaml==6.0.2 requests==2.32.3 idna==3.10

say "The farm's own store: a collection an architecture, promoted to one a variant, and from there to what is released"
farm() {
    printf '$ wcas --store farm %s\n' "$*"
    "$WCAS" --store farm "$@"
}
farm import farm-cuda --collection cuda-x86_64
farm import farm-gaudi --collection gaudi-x86_64
farm collection promote cuda-x86_64 cuda-all --dry-run
farm collection promote cuda-x86_64 cuda-all
farm collection promote gaudi-x86_64 gaudi-all
farm collection promote cuda-all released nvidia-nvtx-cu12
farm collection log cuda-all
mkdir www
for cache in cuda-all gaudi-x86_64; do
    farm view --collection "$cache" --to "www/$cache"
done

say "Two of the four caches are served; one refuses connections, one answers 503"
await_port() {
    local tries
    for tries in {1..100}; do
        if grep -oE 'port [0-9]+' "$1" 2>/dev/null | head -n 1 | cut -d ' ' -f 2 | grep .; then return; fi
        sleep 0.1
    done
    echo "no server after $tries looks" >&2
    return 1
}
"$python" -u -m http.server --bind 127.0.0.1 --directory www 0 >good.log 2>&1 &
servers+=($!)
cat >failing.py <<'PY'
import http.server
class Failing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing)
print("port", server.server_port, flush=True)
server.serve_forever()
PY
"$python" failing.py >failing.log 2>&1 &
servers+=($!)
good="$(await_port good.log)"
failing="$(await_port failing.log)"
nobody="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
echo "port $good: good, port $failing: always 503, port $nobody: nobody listens"

say "All that the teams decide is one file, which they keep in git"
cat >teams.toml <<TOML
default = "shared"

[collections.shared]
accelerators = []               # nothing that is bound to one, as "collection set shared --accelerator none" says
[collections.cuda]
accelerators = ["cuda"]
fallbacks = ["shared"]
[collections.gaudi]
accelerators = ["gaudi"]
fallbacks = ["shared"]

[variants.cuda]
requirements = ["nvidia-nvtx-cu12"]
detect = true                   # what isn't listed goes by its accelerator
[variants.gaudi]
requirements = ["habana-media-loader"]
detect = true

[remotes.cuda-x86-64]           # asked first: the cache of one architecture
url = "http://127.0.0.1:$nobody/cuda-x86_64/simple/"
collection = "cuda"
only = ["nvidia-*", "habana-*"]
[remotes.cuda-all]              # then the variant's
url = "http://127.0.0.1:$good/cuda-all/simple/"
collection = "cuda"
priority = 10
only = ["nvidia-*", "habana-*"]
[remotes.gaudi-x86-64]
url = "http://127.0.0.1:$good/gaudi-x86_64/simple/"
collection = "gaudi"
[remotes.gaudi-all]
url = "http://127.0.0.1:$failing/gaudi-all/simple/"
collection = "gaudi"
priority = 10
TOML
show cat teams.toml
wcas config apply teams.toml
wcas config apply teams.toml --dry-run

say "Each team imports what it has built; the variant's rules say where each file goes"
wcas -v import cuda-built --variant cuda
wcas -v import gaudi-built --variant gaudi
wcas route explain nvidia-nvtx-cu12 --variant cuda
wcas route explain cuda-built/nvidia_cuda_runtime_cu12-*.whl --variant cuda
wcas route explain requests --variant cuda

say "A wheel that is bound to CUDA has no place in shared, whoever says so"
ends_with 3 import cuda-built --collection shared

say "CUDA: the first cache is down, the second has it; the second time it is here"
wcas lookup nvidia-nvtx-cu12==12.4.127 --variant cuda
wcas lookup nvidia-nvtx-cu12==12.4.127 --variant cuda
say "A wheel for Gaudi got into the cache for CUDA: it stays there"
ends_with 4 lookup habana-quantization-toolkit --variant cuda
say "requests is shared: no cache is asked, since neither has projects of that name"
wcas lookup requests --variant cuda

say "Gaudi: the first cache has it, and the one that is down is not asked"
wcas lookup habana-media-loader --variant gaudi
say "Its caches may have anything: they are asked before shared answers, and the one that is down is a note"
wcas lookup requests --variant gaudi
say "With --offline nobody is asked"
wcas lookup requests --variant gaudi --offline

say "What each team sees: its own, and what is shared"
wcas view --variant gaudi --format requirements
wcas view --variant cuda --format requirements
wcas why habana-media-loader requests --variant gaudi

say "Where it came from, who answered, who failed"
wcas show habana-media-loader
wcas stats
wcas remote list
wcas remote test cuda-all --project nvidia-nvtx-cu12
ends_with 3 remote test gaudi-all
wcas doctor || echo "(exit $?)"

say "What the gaudi team has tried goes to what is released; every byte is read again"
wcas collection promote gaudi gaudi-released --dry-run
wcas collection promote gaudi gaudi-released
wcas verify --parallel
