#!/usr/bin/env bash
# Makes a Debian package of a program that is built already, and prints its path. Needs dpkg-deb.
#
#   cargo build --release --locked && packaging/deb/build.sh target/release/wcas OUT
#
# `cargo deb` makes the like by what Cargo.toml says, after packaging/stage.sh target/release/wcas target/package.
set -euo pipefail

[ $# -eq 2 ] || { echo "build.sh: say PROGRAM OUT" >&2; exit 2; }
program="$1" out="$2"
here="$(cd -- "$(dirname -- "$0")" && pwd)"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml" | head -n 1)"
# The least glibc that has all that the program asks for.
glibc="$(grep -a -o 'GLIBC_2\.[0-9]*' -- "$program" | sort -u -V | tail -n 1)"
architecture="$(dpkg --print-architecture)"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
"$here/../stage.sh" "$program" "$work"
mkdir "$work/DEBIAN"
for script in postinst prerm postrm; do
    install -m 0755 -- "$here/$script" "$work/DEBIAN/$script"
done
echo /etc/wcas/environment >"$work/DEBIAN/conffiles"
cat >"$work/DEBIAN/control" <<END
Package: wcas
Version: $version-1
Architecture: $architecture
Maintainer: the wcas project <wcas@index.example>
Section: utils
Priority: optional
Depends: libc6 (>= ${glibc#GLIBC_}), adduser
Recommends: ca-certificates
Suggests: openssh-client, nginx
Installed-Size: $(du -sk --exclude=DEBIAN "$work" | cut -f1)
Description: content-addressed store for Python wheels
 Each wheel is stored once, under its hash; collections are views of it, with
 a history. An index server, a cache for builders, and a command line.
END
mkdir -p -- "$out"
package="$out/wcas_${version}-1_$architecture.deb"
dpkg-deb --root-owner-group "-Z${WCAS_DEB_COMPRESSION:-xz}" --build "$work" "$package" >&2
echo "$package"
