#!/usr/bin/env bash
# Runs the torture for as long as it is told, all of it or some parts, one part after the other.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: tests/torture/run.sh [--seconds N] [PART…]

The parts are the modules of tests/torture: damage, limits, power, … (`--list` prints them).
N is for all parts together [default: 3600]; a part that only has a list of things to try ends earlier, and each
does at least one round.
Set WCAS_TORTURE_FUZZ=1 to run the targets of tests/torture/fuzz by cargo-fuzz, too, where it is installed: N seconds
more for all of them together, after they are built.
Exit code: 0 nothing was found, 1 something was, 2 usage.
USAGE
}

seconds=3600
parts=()
is_list=
while [ $# -gt 0 ]; do
    case "$1" in
        --seconds)
            seconds="${2:-}"
            shift
            ;;
        --seconds=*) seconds="${1#*=}" ;;
        --list) is_list=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            exit 2
            ;;
        *) parts+=("$1") ;;
    esac
    shift || break
done
case "$seconds" in
    '' | *[!0-9]* | 0)
        echo "--seconds wants a number" >&2
        exit 2
        ;;
esac
cd "$(dirname "$0")/../.."

# It installs nothing: what a part lacks, it says by SKIPPED.
for program in mkfs.ext4 mkfs.xfs mkfs.btrfs strace unshare losetup; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || echo "not here, so that something will be skipped: $program"
done
[ "$(id -u)" = 0 ] || echo "not root, so that nothing can be mounted, and what needs that will be skipped"

cargo test --locked --test torture --no-run
tests="$(cargo test --locked --quiet --test torture -- --list | sed -n 's/: test$//p')"
known="$(cut -d: -f1 <<<"$tests" | sort -u)"
if [ -n "$is_list" ]; then
    echo "$known"
    exit 0
fi
[ ${#parts[@]} -gt 0 ] || mapfile -t parts <<<"$known"
for part in "${parts[@]}"; do
    if ! grep -qx -- "$part" <<<"$known"; then
        echo "there is no part $part; there are:" $known >&2
        exit 2
    fi
done

# Tests of a part run beside each other on so many processors; each has the part's time by the number of turns.
processors="$(nproc 2>/dev/null || echo 1)"
failed=()
begin=$SECONDS
for number in "${!parts[@]}"; do
    part="${parts[$number]}"
    left=$((seconds - (SECONDS - begin)))
    share=$((left / (${#parts[@]} - number)))
    count="$(grep -c "^$part::" <<<"$tests")"
    turns=$(((count + processors - 1) / processors))
    share=$((share / turns))
    [ "$share" -ge 1 ] || share=1
    printf '\n=== %s: %s s for each of %s tests\n' "$part" "$share" "$count"
    WCAS_TORTURE_SECONDS="$share" cargo test --locked --quiet --test torture -- --nocapture --test-threads "$processors" "$part::" ||
        failed+=("$part")
done

if [ -n "${WCAS_TORTURE_FUZZ:-}" ]; then
    if cargo fuzz --version >/dev/null 2>&1; then
        # The flags that lead the fuzzer by coverage are unstable ones: without a nightly toolchain the compiler must be told so.
        toolchain=(+nightly)
        if ! cargo +nightly --version >/dev/null 2>&1; then
            toolchain=()
            export RUSTC_BOOTSTRAP=1
        fi
        fuzz() { (cd tests/torture/fuzz && nice cargo ${toolchain[@]+"${toolchain[@]}"} fuzz "$1" --fuzz-dir . "${@:2}"); }
        mapfile -t targets < <(fuzz list)
        share=$((seconds / (${#targets[@]} + 1)))
        [ "$share" -ge 1 ] || share=1
        for target in "${targets[@]}"; do
            printf '\n=== cargo-fuzz %s: %s s\n' "$target" "$share"
            mkdir -p "tests/torture/fuzz/corpus/$target"
            fuzz run --sanitizer none "$target" "corpus/$target" "../corpus/$target" -- \
                -max_total_time="$share" -max_len=16384 -timeout=10 || failed+=("fuzz/$target")
        done
        [ ${#targets[@]} -gt 0 ] || failed+=(fuzz)
    else
        echo "SKIPPED: cargo-fuzz is not installed, so the targets of tests/torture/fuzz were not run"
    fi
fi

printf '\n%s s in all\n' "$((SECONDS - begin))"
if [ ${#failed[@]} -gt 0 ]; then
    echo "something was found by: ${failed[*]}"
    exit 1
fi
echo "nothing was found"
