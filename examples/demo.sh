#!/bin/sh
# Compares all methods on the small model in examples/. Run by `make demo`.

set -u
ptq="${RUN-} ${BUILD:-build}/ptq"
page=${BUILD:-build}/compare.html

compare() # OPTION...
{
    $ptq compare examples/llama-tiny --calib examples/calib-tiny.txt --samples 64 --seqlen 256 \
        --text examples/test-tiny.txt --window 256 --group 64 "$@" || exit 1
    echo
}

cat <<END
The small model llama-tiny (0.9 M parameters, trained for tests only), quantized with every method in
groups of 64 columns, at 4 and 3 bits, and evaluated with the arithmetic that each method is meant for.
The texts are excerpts from the validation and test texts of WikiText-2 (CC BY-SA 3.0).

END
compare --bits 4 --html "$page"
compare --bits 3 --methods gptq,awq,fptq
echo "The model in full precision continues a text:"
$ptq generate examples/llama-tiny --prompt "The river is" --tokens 40 2>/dev/null || exit 1
echo
echo "Charts of the 4-bit comparison are in $page."
