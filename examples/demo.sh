#!/bin/sh
# The main job on the bundled model: quantize it by two methods at 4 and 3 bits, and see what is lost.
# Started by `make demo`.

set -u
ptq="${RUN-} ${BUILD:-build}/ptq"
model=examples/llama-tiny
text=examples/test-tiny.txt
calibration=examples/calib-tiny.txt
scratch=${BUILD:-build}/demo
rm -rf "$scratch"
mkdir -p "$scratch"

# number KEY: the number behind a key of the JSON on standard input.
number()
{
    awk -v key="\"$1\": " '{ at = index($0, key); print substr($0, at + length(key)) + 0 }'
}

perplexity() # MODEL OPTION...
{
    path=$1
    shift
    $ptq eval "$path" --text $text --window 256 --json "$@" >"$scratch/eval.json" || exit 1
    number perplexity <"$scratch/eval.json"
}

row() # METHOD BITS F32 INT8 BYTES SECONDS
{
    awk -v method="$1" -v bits="$2" -v f32="$3" -v int8="$4" -v bytes="$5" -v seconds="$6" \
        -v full="$full" 'BEGIN {
            printf "  %-14s %4d %10.2f ", method, bits, f32
            if (int8)
                printf "%10.2f %+8.1f %% %8.2f MB %6.1f s\n", int8, 100 * (int8 / full - 1), bytes / 1e6, seconds
            else
                printf "%10s %10s %8.2f MB\n", "-", "-", bytes / 1e6
        }'
}

cat <<END
The bundled model, llama-tiny (0.9 M parameters, trained for tests only), quantized in groups of 64
columns, symmetric, and evaluated with f32 and with int8 activations. GPTQ calibrates on calib-tiny.txt,
perplexity is that of test-tiny.txt in windows of 256 tokens: beginnings of WikiText-2's validation and
test texts (CC BY-SA 3.0).

                       perplexity with activations
  method         bits        f32       int8     change        size     time
END
full=$(perplexity $model)
row "full precision" 16 "$full" 0 "$(wc -c <$model/model.safetensors)" 0
for bits in 4 3; do
    for method in rtn gptq; do
        $ptq quantize $model -o "$scratch/$method$bits" --method $method --bits $bits --group 64 \
            --scale-dtype f16 --calib $calibration --samples 64 --seqlen 256 \
            --json >"$scratch/quantize.json" 2>"$scratch/log" || {
            cat "$scratch/log" >&2
            exit 1
        }
        f32=$(perplexity "$scratch/$method$bits") || exit 1
        int8=$(perplexity "$scratch/$method$bits" --activations int8-token) || exit 1
        row $method $bits "$f32" "$int8" "$(number bytes <"$scratch/quantize.json")" \
            "$(number seconds <"$scratch/quantize.json")"
    done
done
echo
echo "(change: of the perplexity with int8 activations, against full precision)"
rm -rf "$scratch"
