#!/bin/sh
# Compares the public interface with the record in test/abi: the exported functions with their types
# (libptq.abi, made by libabigail) and the values of the constants (constants). Removals and changes
# fail; additions pass, and can be recorded with --record.
# The last line is: N passed, N failed, N skipped.
#
#   BUILD=build sh test/abi.sh              compares
#   BUILD=build sh test/abi.sh --record     updates test/abi (after a build by gcc with -g, on x86-64)

set -u
. test/check.sh

library=$BUILD/libptq.so
tmp=$BUILD/abi
rm -rf "$tmp"
mkdir -p "$tmp"

# Constants of the headers, one per line: NAME = VALUE.
constants()
{
    cat include/ptq/*.h | grep -v VERSION | grep -o 'PTQ_[A-Z0-9_]* = -*[0-9][0-9a-fx]*' | sort
    sed -n 's/^#define \(PTQ_[A-Z_]*\) \([0-9][0-9a-fx]*\)$/\1 = \2/p' include/ptq/*.h |
        grep -v VERSION | sort -u
}

# Paths, line numbers and the contents of handles are not part of the interface.
represent()
{
    abidw --suppressions test/abi/opaque.suppr --exported-interfaces-only --no-corpus-path \
        --no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash \
        --out-file "$1" "$library"
}

if [ "${1-}" = --record ]; then
    constants >test/abi/constants
    represent test/abi/libptq.abi
    exit
fi

constants >"$tmp/constants"
while read -r line; do
    if grep -q -x -F -e "$line" "$tmp/constants"; then
        pass
    else
        fail "$line is recorded in test/abi/constants, but not in the headers"
    fi
done <test/abi/constants

if ! command -v abidw >/dev/null || ! command -v abidiff >/dev/null; then
    skip "no abidw and abidiff (abigail-tools)"
elif ! readelf -S "$library" | grep -q debug_info; then
    skip "$library has no debug information"
elif ! readelf -h "$library" | grep -q 'Machine:.*X86-64'; then
    skip "test/abi/libptq.abi is for x86-64"
elif ! represent "$tmp/libptq.abi" 2>"$tmp/log"; then
    fail "abidw cannot read $library" "$(cat "$tmp/log")"
elif abidiff --no-added-syms test/abi/libptq.abi "$tmp/libptq.abi" >"$tmp/log" 2>&1; then
    pass
else
    fail "the interface changed (exit status $? of abidiff)" "$(cat "$tmp/log")"
fi
rm -rf "$tmp"
summary
