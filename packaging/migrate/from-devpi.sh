#!/usr/bin/env bash
# Imports what `devpi-export DIR` wrote: each stage index USER/NAME into a collection USER-NAME, its bases as fallbacks, and of a mirror the URL as
# a remote.
#
#   devpi-export --serverdir SERVERDIR EXPORT && packaging/migrate/from-devpi.sh EXPORT
#
# Users, passwords, ACLs, documentation and test results are not taken: make tokens (`wcas token create`). Exit code 3: some files were refused, and
# are told; all others are in. WCAS is the program (wcas), WCAS_STORE the store. Needs python3.
set -euo pipefail

[ $# -eq 1 ] && [ -f "$1/dataindex.json" ] || { echo "from-devpi.sh: say the folder that devpi-export wrote (it has a dataindex.json)" >&2; exit 2; }
export_dir="$1"
wcas="${WCAS:-wcas}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# One line for each step: `collection NAME`, `remote NAME COLLECTION URL`, `fallback NAME OF`, `file NAME PATH`, separated by tabs.
python3 - "$export_dir" >"$work/steps" <<'PYTHON'
import json, os, re, sys

root = sys.argv[1]
with open(os.path.join(root, "dataindex.json"), encoding="utf-8") as file:
    data = json.load(file)

def name_of(index):
    # What a collection's name may be: a-z, 0-9, dot, underscore, dash.
    return re.sub(r"[^a-z0-9._-]+", "-", index.lower()).strip("-._") or "index"

def say(*words):
    if any(re.search(r"[\t\n\r]", word) for word in words):
        sys.exit(f"from-devpi.sh: a name with a tab or line feed: {words!r}")
    print("\t".join(words))

indexes = {index: own.get("indexconfig", {}) for index, own in data["indexes"].items()}
names = {}
for index in sorted(indexes):
    if name_of(index) in names.values():
        sys.exit(f"from-devpi.sh: two indexes would be the collection {name_of(index)}")
    names[index] = name_of(index)
for index, config in sorted(indexes.items()):
    say("collection", names[index])
    if config.get("type") == "mirror" and config.get("mirror_url"):
        say("remote", names[index], names[index], config["mirror_url"])
for index, config in sorted(indexes.items()):
    for base in config.get("bases") or []:
        if base in names:
            say("fallback", names[index], names[base])
        else:
            print(f"from-devpi.sh: {index} has the base {base}, which is not in the export", file=sys.stderr)
real = os.path.realpath(root)
for index, own in sorted(data["indexes"].items()):
    for entry in own.get("files", []):
        if entry.get("type") != "releasefile":
            continue
        path = os.path.realpath(os.path.join(root, entry["relpath"]))
        if not path.startswith(real + os.sep):
            sys.exit(f"from-devpi.sh: {entry['relpath']} leads out of the export")
        say("file", names[index], path)
PYTHON

while IFS=$'\t' read -r step name what url; do
    case "$step" in
        collection) "$wcas" --quiet collection show "$name" >/dev/null 2>&1 || "$wcas" collection create "$name" ;;
        remote) "$wcas" --quiet remote set "$name" --url "$url" 2>"$work/said" || "$wcas" remote add "$name" "$url" --collection "$what" ;;
        fallback) echo "$what" >>"$work/fallbacks.$name" ;;
        file) echo "$what" >>"$work/files.$name" ;;
    esac
done <"$work/steps"

for list in "$work"/fallbacks.*; do
    [ -e "$list" ] || continue
    options=()
    while read -r fallback; do options+=(--fallback "$fallback"); done <"$list"
    "$wcas" collection set "${list##*/fallbacks.}" "${options[@]}"
done

worst=0
for list in "$work"/files.*; do
    [ -e "$list" ] || continue
    code=0
    # A list on standard input is as long as it likes.
    "$wcas" import --collection "${list##*/files.}" --keep-existing - <"$list" || code=$?
    case "$code" in
        0) ;;
        3) worst=3 ;;
        *) exit "$code" ;;
    esac
done
exit "$worst"
