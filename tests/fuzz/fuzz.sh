#!/bin/bash
# The fuzzer, from the root of the source.
#
#   tests/fuzz/fuzz.sh run SECONDS [TARGET]...   each target, or these, for so many seconds of processor time; 1 and a
#                                                line that says how to have it again on the first finding
#   tests/fuzz/fuzz.sh keep [TARGET]...          what was found since, made as small as it goes, into the committed inputs
#   tests/fuzz/fuzz.sh seed                      the first inputs anew, to begin with
#   tests/fuzz/fuzz.sh coverage                  what of the code the committed inputs reach, as a table
#
# New inputs are in .cache/fuzz/TARGET, findings in .cache/fuzz/findings. What was a finding and is mended goes into the
# committed inputs as regression-NAME.
set -euo pipefail
cd "$(dirname "$0")/../.."

corpus=tests/fuzz/corpus
found=.cache/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
programs=target/fuzz/$host/release

# AddressSanitizer is no part of the stable compiler but for this variable.
build() {
    (cd tests/fuzz && RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER=$PWD/rustc.sh "${CARGO:-cargo}" build --release --locked \
        --target "$host" --target-dir ../../target/fuzz --bins)
}

targets() { ls tests/fuzz/src/bin | sed 's/\.rs$//'; }

# As long as anything is looked at; texts have more to say than signatures.
longest() {
    case $1 in
    der) echo 128 ;;
    assertion | client_pin | enroll | info | login | text | u2f) echo 1024 ;;
    *) echo 4096 ;;
    esac
}

# 5 s for one input is a finding, and so are 16 MiB at once or 1 GiB in all. Leaks would be looked for by ptrace, which
# not every container has.
limits=(-timeout=5 -malloc_limit_mb=16 -rss_limit_mb=1024 -detect_leaks=0)

# The seconds of processor time that a process has had.
seconds_of() { awk -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) / tick) }' "/proc/$1/stat"; }

run_one() {
    local target=$1 seconds=$2 log=$found/$1.log process status=0
    mkdir -p "$found/$target" "$found/findings"
    "$programs/$target" "${limits[@]}" -max_len="$(longest "$target")" -print_final_stats=1 \
        -artifact_prefix="$found/findings/$target-" "$found/$target" "$corpus/$target" >"$log" 2>&1 &
    process=$!
    # It counts the time on the wall itself, of which on a busy machine little is its own.
    while kill -0 "$process" 2>/dev/null && [ "$(seconds_of "$process" 2>/dev/null || echo 0)" -lt "$seconds" ]; do
        sleep 1
    done
    kill -USR1 "$process" 2>/dev/null || true # asks it to end
    wait "$process" || status=$?
    if [ "$status" != 0 ]; then
        tail -n 40 "$log" >&2
        echo "fuzz: a finding in $target: $(ls -t "$found/findings/$target-"* 2>/dev/null | head -n 1)" >&2
        echo "fuzz: $programs/$target FILE has it again; the whole log is in $log" >&2
        return 1
    fi
    awk -v target="$target" -v seconds="$seconds" '
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /number_of_executed_units/ { runs = $2 }
        /peak_rss_mb/ { memory = $2 }
        END { printf "%-14s %6d s %12d runs %6d edges %5d MiB\n", target, seconds, runs, edges, memory }' "$log"
}

keep_one() {
    local target=$1 kept=$found/kept/$1 edges=()
    rm -rf "$kept"
    mkdir -p "$kept" "$found/$target" "$corpus/$target"
    # Texts take so many ways through the reader of TOML that what is kept is each edge, and not how often.
    case $target in config | record | stack | state | text) edges=(-use_counters=0) ;; esac
    "$programs/$target" "${limits[@]}" -set_cover_merge=1 "${edges[@]}" -max_len="$(longest "$target")" \
        -artifact_prefix="$found/findings/$target-" \
        "$kept" "$corpus/$target" "$found/$target" >"$found/$target.log" 2>&1
    # What was a finding once stays, whatever else reaches the same.
    cp "$corpus/$target"/regression-* "$kept" 2>/dev/null || true
    rm -rf "${corpus:?}/$target"
    mv "$kept" "$corpus/$target"
    rm -rf "${found:?}/$target"
    printf '%-14s %5d inputs %8d bytes\n' "$target" "$(ls "$corpus/$target" | wc -l)" \
        "$(cat "$corpus/$target"/* | wc -c)"
}

# Edges of the control flow in the functions of each file, those of what the compiler put into them included.
coverage() {
    "$programs/coverage" -runs=1 -rss_limit_mb=4096 -timeout=600 -report_slow_units=600 -print_coverage=1 2>&1 | tr -d '\000' | awk '
        /COVERED_FUNC: hits/ && match($0, /src\/core\/[^ :]*\.rs/) {
            file = substr($0, RSTART, RLENGTH)
            split($0, part, "edges: "); split(part[2], edge, /[\/ ]/)
            hit[file] += edge[1]; all[file] += edge[2]; functions[file]++
            if ($0 !~ /UNCOVERED_FUNC/) reached[file]++
        }
        END { for (file in all) printf "| %s | %d of %d | %d of %d | %d %% |\n", file, reached[file], functions[file],
            hit[file], all[file], 100 * hit[file] / all[file] }' | sort | {
        echo "| file | functions | edges | |"
        echo "|---|---|---|---|"
        cat
    }
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
run)
    seconds=${1:?how many seconds}
    shift
    build
    for target in ${*:-$(targets)}; do run_one "$target" "$seconds"; done
    ;;
keep)
    build
    for target in ${*:-$(targets)}; do keep_one "$target"; done
    ;;
seed)
    build
    "$programs/seeds" "$found"
    ;;
coverage)
    build
    coverage
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
