#!/usr/bin/env bash
# Puts all that a package has into a folder, as it lies on a machine: program, man pages, completions, units.
#
#   packaging/stage.sh PROGRAM DIR
#
# Nothing is built here; PROGRAM must run on this machine, since it writes its own man pages and completions.
set -euo pipefail

[ $# -eq 2 ] || { echo "stage.sh: say PROGRAM DIR" >&2; exit 2; }
program="$1" dir="$2"
here="$(cd -- "$(dirname -- "$0")" && pwd)"

install -D -m 0755 -- "$program" "$dir/usr/bin/wcas"
wcas="$(cd -- "$dir/usr/bin" && pwd)/wcas"

mkdir -p -- "$dir/usr/share/man/man1"
"$wcas" --quiet man --to "$dir/usr/share/man/man1"
# With no name and time in it, the same program makes the same package.
find "$dir/usr/share/man/man1" -name '*.1' -exec gzip --no-name --best --force {} +

completion() {
    mkdir -p -- "$dir/$(dirname "$2")"
    "$wcas" completions "$1" >"$dir/$2"
}
completion bash usr/share/bash-completion/completions/wcas
completion zsh usr/share/zsh/vendor-completions/_wcas
completion fish usr/share/fish/vendor_completions.d/wcas.fish

for unit in "$here"/systemd/*.service "$here"/systemd/*.timer; do
    install -D -m 0644 -t "$dir/usr/lib/systemd/system" -- "$unit"
done
install -D -m 0644 -- "$here/systemd/wcas.sysusers" "$dir/usr/lib/sysusers.d/wcas.conf"
install -D -m 0640 -- "$here/systemd/environment" "$dir/etc/wcas/environment"
for text in README.md LICENSE-APACHE LICENSE-MIT; do
    install -D -m 0644 -t "$dir/usr/share/doc/wcas" -- "$here/../$text"
done
