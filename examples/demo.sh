#!/bin/sh
# The main job on the bundled model: every method side by side. Started by `make demo`.

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
The bundled model, llama-tiny (0.9 M parameters, trained for tests only), quantized by every method in
groups of 64 columns, at 4 and at 3 bits, and evaluated with the arithmetic that each is meant for. The
texts are beginnings of WikiText-2's validation and test texts (CC BY-SA 3.0).

END
compare --bits 4 --html "$page"
compare --bits 3 --methods gptq,awq,fptq
echo "The page $page shows the 4-bit comparison with charts."
