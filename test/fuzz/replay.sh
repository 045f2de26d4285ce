#!/bin/sh
# Runs every input in test/fuzz/corpus once, by the programs in BUILD/fuzz that do not search. The last
# line is: N passed, N failed, N skipped.

set -u
. test/check.sh

tmp=$BUILD/replay
mkdir -p "$tmp"
for source in test/fuzz/fuzz_*.c; do
    target=${source#test/fuzz/fuzz_}
    target=${target%.c}
    if FUZZ_FILES=$tmp $RUN "$BUILD/fuzz/$target" "test/fuzz/corpus/$target"/* >"$tmp/out" 2>"$tmp/err"; then
        passed=$((passed + $(sed -n 's/ passed.*//p' "$tmp/out")))
    else
        # The last file that it names is the one with the finding.
        fail "$(grep '^test/fuzz/corpus' "$tmp/err" | tail -n 1)" "$(sed '/^test.fuzz.corpus/d' "$tmp/err" | head -n 30)"
    fi
done
rm -rf "$tmp"
summary
