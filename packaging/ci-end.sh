#!/usr/bin/env bash
# For a CI's job: ends the server that ci-serve.sh began, and lets the store shrink to what is referred to, so that the CI's cache stays small.
#
#   packaging/ci-end.sh [UNUSED_FOR]       such as 14d: what nobody asked for in that time goes, too, from all collections
set -euo pipefail

wcas="${WCAS:-wcas}"
: "${WCAS_STORE:?say where the store is}"
run="${WCAS_RUN:-$WCAS_STORE.run}"

if [ -s "$run/pid" ]; then
    pid="$(cat "$run/pid")"
    kill -TERM "$pid" 2>/dev/null || true
    # It finishes what is in flight, within its grace time of 30 s.
    for _ in $(seq 450); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
        echo "ci-end.sh: the server $pid did not end, and is killed" >&2
        kill -KILL "$pid"
    fi
    rm -f -- "$run/pid"
fi

if [ -n "${1:-}" ]; then
    "$wcas" --json collection list |
        python3 -c 'import json, sys; print("\n".join(one["name"] for one in json.load(sys.stdin)["collections"]))' |
        while read -r name; do
            "$wcas" --quiet collection set "$name" --unused-for "$1" >/dev/null
        done
fi
# No other job is at it: nothing needs a grace.
"$wcas" gc --grace 0s
