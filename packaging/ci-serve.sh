#!/usr/bin/env bash
# For a CI's job: makes the collections of a store, serves it in the background, and prints the settings for the steps that follow.
#
#   packaging/ci-serve.sh VARIANT...       the first line on standard output is WCAS_INDEX=URL
#
# WCAS is the program (wcas), WCAS_STORE the store, which the job keeps from run to run. Each VARIANT's collection falls back on `shared`. What the
# server says, and its process id, go to the folder WCAS_RUN ($WCAS_STORE.run); ci-end.sh ends it. WCAS_LISTEN is where it listens
# (127.0.0.1:0: any free port).
set -euo pipefail

wcas="${WCAS:-wcas}"
: "${WCAS_STORE:?say where the store is}"
run="${WCAS_RUN:-$WCAS_STORE.run}"
mkdir -p -- "$run"

if [ -s "$run/pid" ] && kill -0 "$(cat "$run/pid")" 2>/dev/null; then
    echo "ci-serve.sh: a server runs already, process $(cat "$run/pid")" >&2
    exit 1
fi

is_there() {
    "$wcas" --quiet collection show "$1" >/dev/null 2>&1
}
for name in shared "$@"; do
    is_there "$name" || "$wcas" --quiet collection create "$name" >&2
done
for name in "$@"; do
    [ "$name" = shared ] || "$wcas" --quiet collection set "$name" --fallback shared >/dev/null
done

: >"$run/url"
nohup "$wcas" serve --listen "${WCAS_LISTEN:-127.0.0.1:0}" --anonymous "${WCAS_ANONYMOUS:-read}" >"$run/url" 2>"$run/log" </dev/null &
pid=$!
echo "$pid" >"$run/pid"

# It prints its URL when it listens.
for _ in $(seq 300); do
    [ -s "$run/url" ] && break
    if ! kill -0 "$pid" 2>/dev/null; then
        cat "$run/log" >&2
        echo "ci-serve.sh: the server ended" >&2
        exit 1
    fi
    sleep 0.1
done
url="$(head -n 1 "$run/url")"
if [ -z "$url" ]; then
    kill "$pid" 2>/dev/null || true
    echo "ci-serve.sh: the server printed no URL in 30 s" >&2
    exit 1
fi
echo "WCAS_INDEX=$url"
for name in "$@"; do
    # A name may have a dot or dash, which a variable may not.
    echo "WCAS_INDEX_$(tr 'a-z.-' 'A-Z__' <<<"$name")=${url}${name}/simple/"
done
