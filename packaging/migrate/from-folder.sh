#!/usr/bin/env bash
# Imports folders of wheels and source distributions, such as pypiserver has them, into a collection.
#
#   packaging/migrate/from-folder.sh COLLECTION DIR...
#
# Files are read where they are, and stay. Run it again for what came meanwhile: what is known costs a stat. Exit code 3: some files were refused,
# and are told; all others are in. WCAS is the program (wcas), WCAS_STORE the store.
set -euo pipefail

[ $# -ge 2 ] || { echo "from-folder.sh: say COLLECTION DIR..." >&2; exit 2; }
collection="$1"
shift
exec "${WCAS:-wcas}" import --collection "$collection" --keep-existing -- "$@"
