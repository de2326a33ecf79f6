#!/usr/bin/env bash
# Exits 0 if a server answers well at /healthz; without curl, which images don't have.
#
#   packaging/healthcheck.sh [HOST [PORT]]
set -euo pipefail
host="${1:-127.0.0.1}" port="${2:-8080}"
exec 3<>"/dev/tcp/$host/$port"
printf 'GET /healthz HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$host" "$port" >&3
read -r -t 10 _ status _ <&3
[ "$status" = 200 ]
