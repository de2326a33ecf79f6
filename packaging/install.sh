#!/usr/bin/env bash
# Installs wcas from a file or URL whose SHA-256 digest is known, and prints the path of the program.
#
#   packaging/install.sh SOURCE SHA256 [DIR]
#
# SOURCE is a path or an https:// URL (http:// only for this machine) of the program itself, of a wheel that maturin built, or of a .tar.gz or
# .tar.xz that has the program in it. Nothing is written unless the digest is right. DIR is where the program goes; $HOME/.local/bin without it.
set -euo pipefail

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

[ $# -ge 2 ] && [ $# -le 3 ] || fail "say SOURCE SHA256 [DIR]"
source="$1" wanted="$(tr 'A-F' 'a-f' <<<"$2")" dir="${3:-$HOME/.local/bin}"
[[ "$wanted" =~ ^[0-9a-f]{64}$ ]] || fail "SHA256 is 64 hexadecimal digits, and not: $2"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
name="$(basename "${source%%[?#]*}")"
got="$work/$name"

case "$source" in
    https://* | http://127.0.0.1[:/]* | http://localhost[:/]*)
        case "$source" in https://*) protocols='=https' ;; *) protocols='=http' ;; esac
        curl --fail --silent --show-error --location --proto "$protocols" --proto-redir "$protocols" --retry 3 --output "$got" -- "$source" ||
            fail "$source can't be fetched"
        ;;
    http://*) fail "over plain http anybody on the way could change it: say https://" ;;
    *)
        [ -f "$source" ] || fail "there is no file $source"
        cp -- "$source" "$got"
        ;;
esac

is="$(sha256sum -- "$got" | cut -d' ' -f1)"
is="${is#\\}"
[ "$is" = "$wanted" ] || fail "$name has the SHA-256 digest $is, and should have $wanted: nothing was installed"

unpacked="$work/unpacked"
mkdir "$unpacked"
case "$name" in
    *.whl | *.zip) python3 -m zipfile -e "$got" "$unpacked" ;;
    *.tar.gz | *.tgz | *.tar.xz) tar -C "$unpacked" --no-same-owner -xf "$got" ;;
    *) cp -- "$got" "$unpacked/wcas" ;;
esac
# In a wheel it is a script, in an archive wherever its maker put it.
mapfile -t found < <(find "$unpacked" -type f -name wcas)
[ ${#found[@]} -eq 1 ] || fail "$name has ${#found[@]} files that are called wcas, and should have one"

mkdir -p -- "$dir"
dir="$(cd -- "$dir" && pwd)"
# Renamed into its place: a program that runs can't be overwritten.
part="$(mktemp -- "$dir/.wcas.XXXXXX")"
cp -- "${found[0]}" "$part"
chmod 0755 -- "$part"
if ! "$part" --version >&2; then
    rm -f -- "$part"
    fail "$name is no program for this machine ($(uname -sm))"
fi
mv -f -- "$part" "$dir/wcas"
echo "$dir/wcas"
