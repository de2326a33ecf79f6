#!/usr/bin/env bash
# How often the guard is right: fetches the labelled wheels of one set with pip, and lets `accelerators` compare.
#
#   benches/guard/run.sh DIR [first|second]      # about 5 GB and 3 GB; wheels that are there already aren't fetched again
#
# labels.tsv has filename, accelerator (several by commas, or none), strength, why, set. Each label was written down before the program
# was asked, from `readelf`, METADATA and what the project is. A wheel that is no longer to be had is told, and left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir="${1:?a folder for the wheels}"
set="${2:-second}"
mkdir -p "$dir"

# Gets one wheel by its project, version and tags.
fetch() {
    local file="$1" stem python abi platforms arguments=()
    stem="${file%.whl}"
    platforms="${stem##*-}" stem="${stem%-*}"
    abi="${stem##*-}" stem="${stem%-*}"
    python="${stem##*-}" stem="${stem%-*}"
    IFS=- read -r name version _ <<<"$stem"
    for platform in ${platforms//./ }; do arguments+=(--platform "$platform"); done
    case "$python" in
    cp3* | py3[0-9]*) arguments+=(--python-version "3.${python//[!0-9]/}" --abi "${abi%%.*}") ;;
    *) arguments+=(--python-version 3.12 --abi "${abi%%.*}") ;;
    esac
    arguments=("${arguments[@]/#3.3/3.}")
    pip download --quiet --no-deps --only-binary :all: --implementation cp "${arguments[@]}" --dest "$dir" "$name==$version" >/dev/null 2>&1
}

while IFS=$'\t' read -r file _ _ _ in; do
    [ "$in" = "$set" ] || continue
    [ -e "$dir/$file" ] || fetch "$file" || echo "not to be had: $file"
done <benches/guard/labels.tsv

WCAS_BENCH_WHEELS="$dir" WCAS_BENCH_LABELS=benches/guard/labels.tsv cargo bench --bench accelerators
