#!/bin/sh
# Searches for inputs that break fuzz targets: sh test/fuzz/run.sh TARGET...
# FUZZ_SECONDS for each (60), FUZZ_JOBS at a time (2). The targets in BUILD/fuzzing/fuzz begin with the
# inputs in test/fuzz/corpus/TARGET, and with those that earlier runs left in BUILD/fuzz-found/TARGET. An
# input with a finding is kept as BUILD/fuzz-found/TARGET.crash-...

set -u
BUILD=${BUILD:-build}
seconds=${FUZZ_SECONDS:-60}
found=$BUILD/fuzz-found

# In memory, where there is a file system for that: targets write small files all the time.
FUZZ_FILES=$(mktemp -d /dev/shm/ptq-fuzz.XXXXXX 2>/dev/null || mktemp -d)
export FUZZ_FILES
trap 'rm -rf "$FUZZ_FILES"' EXIT

# The words of a target's language: the strings in the sources that read it, and some extreme numbers.
dictionary()
{
    case $1 in
    json) set -- lib/base/json_read.c ;;
    safetensors | index) set -- lib/store/safetensors*.c ;;
    stats) set -- lib/store/safetensors*.c lib/stats_file.c ;;
    gguf) set -- lib/store/gguf*.c ;;
    gguf_model) set -- lib/store/gguf*.c src/model/gguf_*.c src/text/gguf_*.c src/text/field.c ;;
    format) set -- lib/store/*.c lib/format/*.c lib/config.c ;;
    model) set -- lib/store/safetensors*.c lib/format/*.c src/checkpoint/*.c src/model/*.c ;;
    gguf_tokenizer) set -- src/gguf/*.c src/text/gguf_schemes.c ;;
    tokenizer) set -- src/text/*.c ;;
    jinja | chat) set -- src/jinja/*.c src/chat/*.c ;;
    *) set -- ;;
    esac
    cat "$@" </dev/null | grep -o '"[^"\\%]\{2,40\}"' | sort -u
    printf '"%s"\n' 0 -1 2147483648 4294967296 9007199254740993 9223372036854775807 18446744073709551615 1e308 \
        1e-320 -0.0
}

# search TARGET: its messages go to a file, whose important lines are shown at the end.
search()
{
    mkdir -p "$found/$1"
    dictionary "$1" >"$found/$1.dictionary"
    if nice -n 10 "$BUILD/fuzzing/fuzz/$1" -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=1024 \
        -timeout=10 -print_final_stats=1 -dict="$found/$1.dictionary" -artifact_prefix="$found/$1." \
        "$found/$1" "test/fuzz/corpus/$1" >"$found/$1.log" 2>&1; then
        sed -n 's/^#\([0-9]*\).*DONE *cov: \([0-9]*\).*/\1 inputs, \2 edges/p' "$found/$1.log" |
            sed "s|^|$1: |"
    else
        echo "FAILED: $1"
        grep -E -A 12 'ERROR: |runtime error|does not hold|Test unit written' "$found/$1.log" | head -n 60
        touch "$FUZZ_FILES/failed"
    fi
}

# The targets, FUZZ_JOBS at a time.
running=0
for target; do
    search "$target" &
    running=$((running + 1))
    if [ $running -eq "${FUZZ_JOBS:-2}" ]; then
        wait
        running=0
    fi
done
wait
[ ! -e "$FUZZ_FILES/failed" ]
