#!/bin/sh
# The command from the user's point of view. The last line is: N passed, N failed, N skipped.
#
#   BUILD=build sh test/command.sh              runs everything
#   BUILD=build sh test/command.sh --record     updates test/data/llama-tiny-gptq.sha256
#
# Every machine and compiler must produce the recorded hashes, even under emulation, where only the small
# settings run because the rest would take too long.

set -u
. test/check.sh

tiny=examples/llama-tiny
text=examples/test-tiny.txt
calib=examples/calib-tiny.txt
small="--calib $calib --samples 4 --seqlen 64"
shared=../shared
recorded=test/data/llama-tiny-gptq.sha256
record=${1-}
tmp=$BUILD/command
out=$tmp/refused

rm -rf "$tmp"
mkdir -p "$tmp"

# refuses STATUS PATTERN WHAT ARGUMENT...: ptq must fail with that status and exactly one line on stderr
# that contains PATTERN, print nothing else, and leave neither $out nor $out.partial.
refuses()
{
    wanted=$1 pattern=$2 what=$3
    shift 3
    ptq "$@"
    lines=$(wc -l <"$tmp/err")
    if [ $status -ne "$wanted" ]; then
        fail "$what: exit status $status, not $wanted, of ptq $*" "$(head -n 5 "$tmp/err")"
    elif [ "$lines" -ne 1 ]; then
        fail "$what: $lines lines on stderr, not 1" "$(head -n 5 "$tmp/err")"
    elif ! grep -q -e "$pattern" "$tmp/err"; then
        fail "$what: the message does not say \"$pattern\"" "$(cat "$tmp/err")"
    elif [ -s "$tmp/out" ]; then
        fail "$what: prints to stdout" "$(head -n 2 "$tmp/out")"
    elif [ -e "$out" ] || [ -e "$out.partial" ]; then
        fail "$what: leaves $(echo "$out"*)"
    else
        pass
    fi
    rm -rf "$out" "$out.partial"
}

# json WHAT KEY...: $tmp/out must be one JSON object on one line with these keys.
json()
{
    what=$1
    shift
    if [ "$(wc -l <"$tmp/out")" -ne 1 ]; then
        fail "$what: not one line of JSON"
    elif find_python json; then
        if message=$($python test/check_json.py "$tmp/out" "$@" 2>&1); then
            pass
        else
            fail "$what: $message"
        fi
    else
        for key; do
            if ! grep -q "\"$key\":" "$tmp/out"; then
                fail "$what: no key \"$key\""
                return
            fi
        done
        pass
    fi
}

# quantize OUT OPTION...: quantizes llama-tiny into $tmp/OUT, which is removed first.
quantize()
{
    name=$1
    shift
    rm -rf "$tmp/$name" "$tmp/$name.partial"
    succeeds "quantize $*" quantize $tiny -o "$tmp/$name" --json "$@"
}

# remember NAME VALUE: compares with the recorded value, or records it.
remember()
{
    if [ "$record" = --record ]; then
        echo "$1 $2" >>"$recorded.new"
    else
        equal "$1, as recorded in $recorded" "$2" "$(sed -n "s/^$1 //p" "$recorded")"
    fi
}

test_recorded()
{
    echo "the same bits everywhere"
    quantize gptq4 --method gptq --bits 4 --group 64 $small &&
        remember gptq-4-group-64 "$(sha256 "$tmp/gptq4/model.safetensors")"
    quantize other --method gptq --bits 3 --group 32 --asym --act-order --mse --scale-dtype f16 $small &&
        remember gptq-3-group-32-asym-act-order-mse-f16 "$(sha256 "$tmp/other/model.safetensors")"
    quantize other --method rtn --bits 8 --group 0 --activations int8-token &&
        remember rtn-8-group-0 "$(sha256 "$tmp/other/model.safetensors")"
    quantize fptq --method fptq --round gptq --equalize lae --fold on $small &&
        remember fptq-lae-gptq-folded "$(sha256 "$tmp/fptq/model.safetensors")"
    quantize other2 --method awq --duo --group 64 --activations int8-tensor $small &&
        remember awq-duo "$(sha256 "$tmp/other2/model.safetensors")"
    for type in Q4_0 Q4_1; do
        quantize one.gguf --method gptq --round gptq+ --format gguf --gguf-type $type $small &&
            remember gguf-$type "$(sha256 "$tmp/one.gguf")"
    done
    perplexity $tiny $text --window 64 --max-windows 4
    remember perplexity "$perplexity"
    perplexity "$tmp/gptq4" $text --window 64 --max-windows 4
    remember perplexity-gptq-4-f32 "$perplexity"
    perplexity "$tmp/gptq4" $text --window 64 --max-windows 4 --activations int8-token
    remember perplexity-gptq-4-int8-token "$perplexity"
    perplexity "$tmp/gptq4" $text --window 64 --max-windows 4 --activations int16-token
    remember perplexity-gptq-4-int16-token "$perplexity"
    perplexity "$tmp/gptq4" $text --window 64 --max-windows 4 --activations int8-group
    remember perplexity-gptq-4-int8-group "$perplexity"
    perplexity "$tmp/other" $text --window 64 --max-windows 4
    remember perplexity-rtn-8-int8-token "$perplexity"
    perplexity "$tmp/fptq" $text --window 64 --max-windows 4
    remember perplexity-fptq "$perplexity"
    perplexity "$tmp/other2" $text --window 64 --max-windows 4
    remember perplexity-awq-int8-tensor "$perplexity"
    if [ "$record" = --record ]; then
        mv "$recorded.new" "$recorded"
        cat "$recorded"
        exit
    fi
}

# Any number of threads, any instruction set.
test_threads()
{
    echo "threads and instruction sets"
    whole=$(sha256 "$tmp/gptq4/model.safetensors")
    for variant in "--threads 1" "--threads 2" "--threads 3" "--threads 7" "--isa portable"; do
        quantize other --method gptq --bits 4 --group 64 $small $variant &&
            equal "quantize with $variant" "$(sha256 "$tmp/other/model.safetensors")" "$whole"
    done
    for activations in f32 int8-token int16-token int8-group; do
        set -- --window 64 --max-windows 2 --activations $activations
        perplexity "$tmp/gptq4" $text "$@"
        whole=$perplexity
        for variant in "--threads 1" "--threads 3" "--isa portable"; do
            perplexity "$tmp/gptq4" $text "$@" $variant
            equal "perplexity, $activations, $variant" "$perplexity" "$whole"
        done
    done
    if [ -n "$RUN" ]; then
        skip "threads on all of the calibration text: too slow under emulation"
        return
    fi
    set -- --method gptq --bits 3 --group 128 --calib $calib
    quantize one "$@" --threads 1
    quantize seven "$@" --threads 7
    equal "all of the text, 1 and 7 threads" "$(sha256 "$tmp/one/model.safetensors")" \
        "$(sha256 "$tmp/seven/model.safetensors")"
    for file in config.json tokenizer.json; do
        cmp -s "$tmp/one/$file" "$tmp/seven/$file"
        equal "$file with 1 and 7 threads" $? 0
    done
}

# full_precision MODEL TEXT WANTED TOKENS WINDOWS OPTION...
full_precision()
{
    wanted=$3 tokens=$4 windows=$5
    perplexity "$1" "$2" $6 $7 $8 $9
    equal "$model in full precision" "$(printf %.4g "$perplexity")" "$wanted"
    equal "$model: tokens of $text" "$(json_number text_tokens)" "$tokens"
    equal "$model: windows" "$(json_number windows)" "$windows"
}

test_perplexity()
{
    echo "perplexity"
    full_precision $tiny $text 27.74 24087 94 --window 256 "" ""
    json "eval --json" perplexity tokens seconds tokens_per_second
    succeeds "divergence from itself" eval $tiny --text $text --window 64 \
        --max-windows 4 --kl $tiny --json
    equal "mean divergence from itself" "$(json_number mean)" 0
    equal "first choices, compared with itself" "$(json_number same_first_choice)" 1
    perplexity $tiny $text --window 64 --stride 24 --max-windows 12
    holds "overlapping windows, as PyTorch scores them" "$perplexity > 23.87161 && $perplexity < 23.87165"
    refuses 1 "the window" "a stride longer than the window" eval $tiny --text $text --window 64 --stride 65
    rm -rf "$tmp/other_theta"
    cp -r $tiny "$tmp/other_theta"
    edit "$tmp/other_theta/config.json" 's/"rope_theta": 10000.0/"rope_theta": 3000.0/'
    succeeds "divergence" eval "$tmp/other_theta" --text $text --window 64 --max-windows 6 \
        --kl $tiny --json
    holds "divergence as PyTorch computes it" "$(json_number mean) > 0.016563 && $(json_number mean) < 0.016565"
    holds "standard error as PyTorch computes it" "$(json_number standard_error) > 0.0017604 && $(json_number standard_error) < 0.0017606"
    set -- --window 256
    for bits in 4 3; do
        for method in rtn gptq; do
            quantize $method$bits --method $method --bits $bits --group 64 --calib $calib \
                --samples 64 --seqlen 256
            perplexity "$tmp/$method$bits" $text "$@"
            eval "$method$bits=$perplexity"
            perplexity "$tmp/$method$bits" $text "$@" --activations int8-token
            holds "int8 activations cost little" "$perplexity < 1.005 * $(eval echo \$$method$bits)"
            perplexity "$tmp/$method$bits" $text "$@" --activations int16-token
            holds "int16 activations cost nothing" "$perplexity < 1.0002 * $(eval echo \$$method$bits) &&
                $perplexity > 0.9998 * $(eval echo \$$method$bits)"
            perplexity "$tmp/$method$bits" $text "$@" --activations int8-group
            holds "int8 activations by group cost less" "$perplexity < 1.002 * $(eval echo \$$method$bits)"
        done
    done
    holds "rtn at 4 bits loses something, not much" "27.75 < $rtn4 && $rtn4 < 29"
    holds "gptq beats rtn at 4 bits" "$gptq4 < $rtn4"
    holds "gptq beats rtn at 3 bits" "$gptq3 < $rtn3"
    holds "4 bits beat 3" "$gptq4 < $gptq3"
    quantize said --method rtn --group 64 --activations int8-token
    perplexity "$tmp/said" $text --window 256 --max-windows 4
    said=$perplexity
    perplexity "$tmp/said" $text --window 256 --max-windows 4 --activations int8-token
    equal "eval takes the activations that the model names" "$said" "$perplexity"
    quantize said --method gptq --group 64 --activations int16-token --calib $calib --samples 64 --seqlen 256
    succeeds "diff of a model with int16 activations" diff "$tmp/gptq4" "$tmp/said" --json
    equal "codes do not depend on int16 activations" "$(grep -c '"equal": 28, "same_codes": 28' "$tmp/out")" 1
    perplexity "$tmp/gptq4" $text "$@" --activations int8-group
    by_group=$perplexity
    quantize said --method gptq --group 64 --activations int8-group --calib $calib --samples 64 --seqlen 256
    perplexity "$tmp/said" $text "$@"
    equal "a model of int8 activations by group" "$perplexity" "$by_group"
    succeeds "inspect int8 activations by group" inspect "$tmp/said"
    equal "what inspect says of them" "$(grep -c 'W4A8.* int8-group ' "$tmp/out")" 28
    quantize said --method gptq --group 64 --format gptq --scale-dtype f16 --calib $calib --samples 64 --seqlen 256
    perplexity "$tmp/said" $text "$@" --activations int8-group
    by_group=$perplexity
    perplexity "$tmp/said" $text "$@"
    equal "foreign weight-only models run with these" "$perplexity" "$by_group"
    quantize said --method gptq --group 64 --activations int16-token --calib $calib --samples 64 --seqlen 256
    succeeds "inspect int16 activations" inspect "$tmp/said"
    equal "what inspect says" "$(grep -c 'W4A16 ' "$tmp/out")" 28
    test_zero_points
}

# A model whose matrices say that their activations have a zero point, which no method makes. The name of the
# scheme is as long as the one that it replaces.
test_zero_points()
{
    quantize said --method rtn --group 64 --activations int8-tensor
    LC_ALL=C sed 's/int8-tensor/uint8-token/g' "$tmp/said/model.safetensors" >"$tmp/named.safetensors"
    set -- --window 256 --max-windows 4
    perplexity "$tmp/said" $text "$@" --activations uint8-token
    asked=$perplexity
    perplexity "$tmp/said" $text "$@" --activations f32
    holds "a zero point costs little" "$asked < 1.005 * $perplexity"
    mv "$tmp/named.safetensors" "$tmp/said/model.safetensors"
    perplexity "$tmp/said" $text "$@"
    equal "eval runs a model that names a zero point" "$perplexity" "$asked"
    succeeds "inspect of such a model" inspect "$tmp/said/model.safetensors"
    equal "which names the scheme of every matrix" "$(grep -c "W4A8.* uint8-token " "$tmp/out")" \
        "$(grep -c "W4A8" "$tmp/out")"
    ptq inspect "$tmp/said/model.safetensors" --json
    equal "in JSON too" "$(grep -c '"activations": "uint8-token"' "$tmp/out")" 1
}

# Multiple choice: the example files, an item that any model gets right, and files without items.
test_choices()
{
    echo "multiple choice"
    for file in examples/choices/*.jsonl; do
        succeeds "$file" eval $tiny --choices "$file" --json
        json "eval --choices" acc acc_stderr acc_norm acc_norm_stderr items
        equal "$file: items" "$(json_number items)" "$(grep -c context "$file")"
    done
    sure='{"context": "He was born in the year", "choices": [" zebra zebra", " 1990"], "answer": 1}'
    wrong='{"context": "He was born in the year", "choices": [" zebra zebra", " 1990"], "answer": 0}'
    printf '%s\n\n%s\n%s\n%s\n' "$sure" "$sure" "$sure" "$wrong" >"$tmp/items"
    succeeds "three of four" eval $tiny --choices "$tmp/items" --json
    equal "acc" "$(json_number acc)" 0.75
    equal "acc_norm" "$(json_number acc_norm)" 0.75
    equal "acc_stderr" "$(json_number acc_stderr)" 0.25
    # By characters without the separating space, as in lm-evaluation-harness; by bytes the first choice
    # would win in each of these.
    printf '{"context": "He was born in the year", "choices": [" %s", " %s"], "answer": 1}\n' \
        éé qqqq ünü xyzzy é Qz >"$tmp/items"
    succeeds "choices of characters of two bytes" eval $tiny --choices "$tmp/items" --json
    equal "their acc_norm" "$(json_number acc_norm)" 1
    # A space, newline or tab that a choice begins with is a delimiter and not counted, whatever the context
    # ends with; if it were, the first choice would win each of these.
    printf '{"context": "He was born in the year%s", "choices": ["%s", "%s"], "answer": 1}\n' \
        '' '\nc' '\n1990' '' '\tin' '\t1990' ' ' ' and' ' town' ' ' '\nand' '\ncity' ' ' '\tat' '\twas' \
        >"$tmp/items"
    succeeds "choices behind delimiters" eval $tiny --choices "$tmp/items" --json
    equal "their acc_norm" "$(json_number acc_norm)" 1
    # White space at the end of a context belongs to the choice.
    printf '{"context": "%s", "choices": ["zebra zebra", "19"], "answer": 1}\n' \
        "He was born in the year " "He was born in the year \u00a0 " >"$tmp/items"
    succeeds "contexts with blanks at their end" eval $tiny --choices "$tmp/items" --json
    equal "their acc" "$(json_number acc)" 1
    for line in '{"context": "a", "choices": [" b"], "answer": 1}' '{"context": "a", "answer": 0}' \
        '{"context": "", "choices": [" b"], "answer": 0}' '[]' 'x' \
        '{"context": "a", "choices": ["", " b"], "answer": 0}' \
        '{"context": "a", "choices": [1], "answer": 0}'; do
        printf '%s\n%s\n' "$sure" "$line" >"$tmp/items"
        ptq eval $tiny --choices "$tmp/items"
        equal "exit status for $line" $status 1
        equal "one line about $line" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
        holds "that names the line of $line" "$(grep -c 'line 2' "$tmp/err") == 1"
    done
    : >"$tmp/items"
    ptq eval $tiny --choices "$tmp/items"
    equal "exit status for a file without items" $status 1
}

# Contexts are cut to the length that lm-evaluation-harness takes for the model's: an input of 4 tokens, and
# the last one is only predicted. length WHAT MODEL TOKENS
length()
{
    printf '{"context": "One after another, one after another", "choices": [" one", " two"], "answer": 0}\n' \
        >"$tmp/items"
    succeeds "$1" eval "$2" --choices "$tmp/items" --json
    equal "$1: tokens of both choices" "$(json_number tokens)" "$3"
}

test_lengths()
{
    echo "contexts that are too long"
    length "a context that fits" $tiny 28
    changed
    edit "$tmp/changed/config.json" 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 4/'
    length "max_position_embeddings" "$tmp/changed" 10
    edit "$tmp/changed/config.json" '1s/{/{"n_positions": 6, /'
    length "n_positions comes first" "$tmp/changed" 14
    if [ ! -d $shared/models/bloom-3m ]; then
        skip "$shared/models/bloom-3m is not there"
        return
    fi
    rm -rf "$tmp/changed"
    cp -r $shared/models/bloom-3m "$tmp/changed"
    chmod -R u+w "$tmp/changed"
    length "BLOOM, a context that fits" "$tmp/changed" 18
    echo '{"model_max_length": 5}' >"$tmp/changed/tokenizer_config.json"
    length "BLOOM, model_max_length" "$tmp/changed" 12
    edit "$tmp/changed/config.json" '1s/{/{"n_ctx": 4, /'
    length "BLOOM, n_ctx comes first" "$tmp/changed" 10
    edit "$tmp/changed/config.json" '1s/"n_ctx": 4, //'
    echo '{"model_max_length": 1000000000000000019884624838656}' >"$tmp/changed/tokenizer_config.json"
    printf '{"context": "%s", "choices": [" a"], "answer": 0}\n' \
        "$(awk 'BEGIN { for (i = 0; i < 2500; i++) printf "a " }' </dev/null)" >"$tmp/items"
    succeeds "BLOOM, no limit" eval "$tmp/changed" --choices "$tmp/items" --json
    equal "BLOOM, no limit: the harness' 2048" "$(json_number tokens)" 2049
    echo '{"model_max_length": 0}' >"$tmp/changed/tokenizer_config.json"
    refuses 1 "tokenizer_config.json.*model_max_length" "BLOOM, a limit of nothing" \
        eval "$tmp/changed" --choices "$tmp/items"
}

# Equalization kept in the matrices or folded into norms, v_proj and up_proj: the same function, except
# for rounding to the stored dtype.
test_folding()
{
    echo "equalization, kept and folded"
    for method in awq smoothquant fptq; do
        for fold in off on; do
            quantize $method-$fold --method $method --bits 8 --group 64 --clip off --fold $fold \
                --calib $calib --samples 16 --seqlen 256
            perplexity "$tmp/$method-$fold" $text --window 256 --max-windows 24
            eval "$fold=$perplexity"
        done
        holds "$method: folded as kept" "$on < 1.002 * $off && $off < 1.002 * $on"
    done
    ptq inspect "$tmp/awq-off"
    equal "kept scales" "$(grep -c input-scale "$tmp/out")" 28
    ptq inspect "$tmp/awq-on"
    equal "no scales where they are folded" "$(grep -c input-scale "$tmp/out")" 0
}

# FPTQ on outliers of all three regimes.
test_fptq()
{
    echo "fptq on the outliers of llama-5m-outlier"
    if [ ! -d $shared/models ]; then
        skip "$shared is not there"
        return
    fi
    model=$shared/models/llama-5m-outlier
    for run in "fptq" "fptq --activations f32" "rtn --grid absmax --activations int8-static"; do
        rm -rf "$tmp/outlier"
        succeeds "$run" quantize $model -o "$tmp/outlier" --json --method $run --calib $calib \
            --samples 32 --seqlen 256
        [ "$run" = fptq ] && cp "$tmp/out" "$tmp/regimes"
        perplexity "$tmp/outlier" $text --window 256
        set -- "$@" $perplexity
        model=$shared/models/llama-5m-outlier
    done
    holds "W4A8 within 2 % of W4A16" "$1 < 1.02 * $2"
    holds "naive static activations at least 5 % above" "$3 > 1.05 * $1"
    tr '{' '\n' <"$tmp/regimes" >"$tmp/matrices"
    for regime in 'int8-static.*"none"' 'int8-static.*"kept"' 'int8-token.*"none"'; do
        holds "matrices of the regime $regime" "$(grep -c "$regime" "$tmp/matrices") > 0"
    done
}

# Full-precision results against PyTorch, and GPTQ against RTN.
test_shared()
{
    echo "the models in $shared"
    if [ ! -d $shared/models ]; then
        skip "$shared is not there"
        return
    fi
    for model in llama-5m llama-5m-sharded-bf16 llama-5m-outlier; do
        full_precision $shared/models/$model $text 50.23 21390 83 --window 256 "" ""
    done
    case "${CFLAGS-}" in
    *-fsanitize=*)
        skip "gptq against rtn on llama-5m: too slow with a sanitizer"
        return
        ;;
    esac
    model=$shared/models/llama-5m
    for bits in 4 3; do
        for method in rtn gptq; do
            rm -rf "$tmp/5m"
            succeeds "$method of llama-5m" quantize $shared/models/llama-5m -o "$tmp/5m" \
                --method $method --bits $bits --group 64 --calib $calib --samples 64 --seqlen 256
            perplexity "$tmp/5m" $text --window 256
            eval "$method=$perplexity"
        done
        holds "llama-5m: gptq beats rtn at $bits bits" "$gptq < $rtn"
    done
    if [ -z "$LONG" ]; then
        skip "wikitext2-test.txt: a long test"
        return
    fi
    long=$shared/data/wikitext2-test.txt
    full_precision $shared/models/llama-tiny $long 30.77 496495 100 --window 512 --max-windows 100
    for model in llama-5m llama-5m-outlier llama-5m-sharded-bf16; do
        full_precision $shared/models/$model $long 51.19 434798 100 --window 512 --max-windows 100
    done
}

test_json()
{
    echo "output for machines, help"
    quantize json --method rtn
    json "quantize --json without --calib" method bits group sym matrices seconds peak_rss_bytes \
        matrices.0.name matrices.0.weight_error matrices.0.output_error
    quantize json --method gptq $small
    json "quantize --json" method bits group sym matrices seconds peak_rss_bytes bytes \
        matrices.27.name matrices.27.weight_error matrices.27.output_error
    equal "bytes" "$(json_number bytes)" "$(wc -c <"$tmp/json/model.safetensors" | tr -d ' ')"
    for command in quantize eval compare inspect tokenize layer; do
        succeeds "$command --help" $command --help
        grep -q "usage: ptq $command" "$tmp/out"
        equal "$command --help says how" $? 0
        equal "$command --help is quiet on stderr" "$(wc -c <"$tmp/err" | tr -d ' ')" 0
    done
    succeeds "--help" --help
    succeeds "--version" --version
    if [ ! -c /dev/full ]; then
        skip "no /dev/full"
        return
    fi
    for command in "eval $tiny --text $text --window 64 --max-windows 1 --json" \
        "eval $tiny --text $text --window 64 --max-windows 1" "inspect $tiny --json" \
        "quantize $tiny -o $tmp/full --method rtn --json" "eval --help"; do
        $RUN "$BUILD/ptq" $command >/dev/full 2>"$tmp/err"
        equal "exit status of $command with a full disk" $? 1
        equal "lines on stderr of $command with a full disk" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
    done
}

# Standard files that are closed, or whose reader goes away: no file that is opened takes their place.
test_standard_files()
{
    echo "standard files"
    set -- quantize $tiny --method rtn
    quantize whole --method rtn
    wanted=$(listing "$tmp/whole")
    rm -rf "$tmp/other"
    $RUN "$BUILD/ptq" "$@" -o "$tmp/other" <&- >&- 2>"$tmp/err"
    equal "exit status without a standard output" $? 1
    grep -q "cannot write to the standard output" "$tmp/err"
    equal "the message says so" $? 0
    equal "the model is whole all the same" "$(listing "$tmp/other")" "$wanted"
    rm -rf "$tmp/other"
    $RUN "$BUILD/ptq" "$@" -o "$tmp/other" <&- >/dev/null 2>&-
    equal "exit status without a standard error" $? 0
    equal "its model is whole" "$(listing "$tmp/other")" "$wanted"
    rm -rf "$tmp/other"
    { $RUN "$BUILD/ptq" "$@" -o "$tmp/other" --json; echo $? >"$tmp/status"; } 2>"$tmp/err" | true
    equal "exit status where nobody reads" "$(cat "$tmp/status")" 141
    equal "which is quiet" "$(wc -c <"$tmp/err" | tr -d ' ')" 0
    equal "and leaves the model whole" "$(listing "$tmp/other")" "$wanted"
    $RUN "$BUILD/ptq" --version >&- 2>"$tmp/err"
    equal "exit status of --version without a standard output" $? 1
}

test_inspect()
{
    echo "inspect"
    succeeds "inspect a model" inspect $tiny
    grep -q "model.layers.3.mlp.down_proj" "$tmp/out"
    equal "inspect names tensors" $? 0
    succeeds "inspect --json" inspect $tiny --json
    json "inspect --json"
    succeeds "inspect a file" inspect $tiny/model.safetensors
    succeeds "inspect a quantized model" inspect "$tmp/gptq4"
    grep -q "model.layers.3.mlp.down_proj .*W4A32 .*group 64" "$tmp/out"
    equal "inspect tells how a matrix is quantized" $? 0
    grep -q "^quantized by version [1-9][0-9]* of the algorithms$" "$tmp/out"
    equal "and by which version of the algorithms" $? 0
    succeeds "inspect a quantized model --json" inspect "$tmp/gptq4" --json
    json "inspect --json of a quantized model" algorithm_version
    succeeds "inspect --cpu" inspect --cpu
    succeeds "inspect --cpu --json" inspect --cpu --json
    json "inspect --cpu --json"
    refuses 1 "nowhere" "inspect what is not there" inspect $tmp/nowhere
    refuses 1 "config.json" "inspect what is no model" inspect $tiny/config.json
    refuses 2 "" "inspect nothing" inspect
}

test_tokenize()
{
    echo "tokenize"
    printf 'Once upon\na time \303\251' >"$tmp/text"
    succeeds "tokenize a file" tokenize $tiny --text "$tmp/text"
    equal "on one line" "$(wc -l <"$tmp/out" | tr -d ' ')" 1
    cp "$tmp/out" "$tmp/ids"
    succeeds "tokenize with the file itself" tokenize $tiny/tokenizer.json --text "$tmp/text"
    cmp -s "$tmp/out" "$tmp/ids"
    equal "the ids are the same" $? 0
    succeeds "decode" tokenize $tiny --decode --text "$tmp/ids"
    cmp -s "$tmp/out" "$tmp/text"
    equal "the text comes back" $? 0
    $RUN "$BUILD/ptq" tokenize $tiny --lines --template <"$tmp/text" >"$tmp/ids"
    equal "a list for each line" "$(wc -l <"$tmp/ids" | tr -d ' ')" 2
    $RUN "$BUILD/ptq" tokenize $tiny --lines --decode <"$tmp/ids" >"$tmp/out"
    echo >>"$tmp/text"
    cmp -s "$tmp/out" "$tmp/text"
    equal "the lines come back" $? 0
    echo '[1, "x"]' >"$tmp/ids"
    refuses 1 "line 1" "ids that are none" tokenize $tiny --decode --text "$tmp/ids"
    refuses 1 "nowhere" "tokenize without a model" tokenize "$tmp/nowhere" --text "$tmp/text"
    refuses 2 "" "tokenize nothing" tokenize
    refuses 2 "template" "a template for decoding" tokenize $tiny --decode --template
}

# chat_model NAME: a copy of the model with a chat template, in $tmp/NAME.
chat_model()
{
    mkdir -p "$tmp/$1"
    cp $tiny/* "$tmp/$1"
    {
        echo "{%- for m in messages -%}"
        echo "{%- if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('No role ' ~ m.role) }}{% endif -%}"
        echo "{{ bos_token ~ m.role ~ ': ' ~ m.content | trim ~ eos_token ~ '\n' }}"
        echo "{%- endfor -%}"
        echo "{%- if add_generation_prompt %}{{ bos_token ~ 'assistant:' }}{% endif -%}"
    } >"$tmp/$1/chat_template.jinja"
}

# Conversations: the text and the ids, and what is refused.
test_chat()
{
    echo "chat templates"
    chat_model chat
    {
        echo '[{"role": "user", "content": " The city of "}]'
        echo '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A \"word\""}]'
    } >"$tmp/conversations"
    succeeds "render" tokenize "$tmp/chat" --chat --render --text "$tmp/conversations"
    equal "the first text" "$(head -n 1 "$tmp/out")" '"<s>user: The city of</s>\u000a<s>assistant:"'
    equal "the second text" "$(tail -n 1 "$tmp/out")" \
        '"<s>system: Be brief.</s>\u000a<s>user: A \"word\"</s>\u000a<s>assistant:"'
    succeeds "without the answer's beginning" tokenize "$tmp/chat" --chat --render --no-generation-prompt \
        --text "$tmp/conversations"
    equal "the text" "$(head -n 1 "$tmp/out")" '"<s>user: The city of</s>\u000a"'
    succeeds "the ids of a conversation" tokenize "$tmp/chat" --chat --text "$tmp/conversations"
    head -n 1 "$tmp/out" >"$tmp/ids"
    printf '<s>user: The city of</s>\n<s>assistant:' >"$tmp/text"
    succeeds "the ids of its text" tokenize "$tmp/chat" --text "$tmp/text"
    equal "are the same" "$(cat "$tmp/out")" "$(cat "$tmp/ids")"

    set -- generate "$tmp/chat" --tokens 4 --json
    succeeds "an answer" "$@" --chat --prompt " The city of "
    once=$(sed 's/.*"ids": \[\([^]]*\)\].*/\1/' "$tmp/out")
    equal "the tokens of its prompt" "$(json_number prompt_tokens)" "$(tr , '\n' <"$tmp/ids" | wc -l | tr -d ' ')"
    head -n 1 "$tmp/conversations" >"$tmp/one.json"
    succeeds "an answer to a file" "$@" --messages "$tmp/one.json"
    equal "the same" "$(sed 's/.*"ids": \[\([^]]*\)\].*/\1/' "$tmp/out")" "$once"
    succeeds "an answer with a system message" "$@" --chat --system "Be brief." --prompt "A word"
    succeeds "an answer as text" generate "$tmp/chat" --tokens 4 --chat --prompt "The city of"
    equal "without the prompt" "$(grep -c "The city of" "$tmp/out")" 0

    refuses 1 "No role tool" "the template's own message" tokenize "$tmp/chat" --chat <<END
[{"role": "tool", "content": "x"}]
END
    refuses 1 "line 1.*at least one message" "no messages" tokenize "$tmp/chat" --chat <<END
[]
END
    refuses 1 "message 2 .*not an object" "a message that is none" tokenize "$tmp/chat" --chat <<END
[{"role": "user", "content": "x"}, 5]
END
    refuses 1 "no chat template" "a model without a template" generate $tiny --chat --prompt a
    refuses 2 "system" "a system message without a chat" generate "$tmp/chat" --prompt a --system b
    refuses 2 "prompt or --messages" "two prompts" generate "$tmp/chat" --prompt a --messages "$tmp/one.json"
    refuses 2 "need --chat" "a rendering of nothing" tokenize "$tmp/chat" --render
    echo "{{ messages | wordcount }}" >"$tmp/chat/chat_template.jinja"
    refuses 1 "chat template: line 1: the filter 'wordcount' is not supported" "an unsupported filter" \
        generate "$tmp/chat" --chat --prompt a
    echo '{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "{{ eos_token }}d"}],' \
        '"eos_token": {"content": "</s>"}}' >"$tmp/chat/tokenizer_config.json"
    rm "$tmp/chat/chat_template.jinja"
    succeeds "the default of two templates" tokenize "$tmp/chat" --chat --render --text "$tmp/conversations"
    equal "the default of two templates" "$(head -n 1 "$tmp/out")" '"</s>d"'
}

# Lines of JSON as calibration and as the text of an evaluation.
test_json_lines()
{
    echo "conversations to calibrate and evaluate on"
    chat_model spoken
    rm -f "$tmp/lines.jsonl" "$tmp/lines.txt"
    for i in 1 2 3 4 5 6 7 8; do
        echo '{"messages": [{"role": "user", "content": "The city of"}, {"role": "assistant", "content": "The state"}]}'
        echo '{"text": "The city of the state", "id": 5}'
    done >"$tmp/lines.jsonl"
    grep messages "$tmp/lines.jsonl" | head -n 1 | sed 's/^{"messages": //; s/}$//' >"$tmp/conversation"
    echo "The city of the state" | tr -d '\n' >"$tmp/text"
    succeeds "the ids of a conversation" tokenize "$tmp/spoken" --chat --no-generation-prompt --text "$tmp/conversation"
    count=$(tr , '\n' <"$tmp/out" | wc -l)
    succeeds "the ids of a text" tokenize "$tmp/spoken" --text "$tmp/text"
    count=$((8 * (count + $(tr , '\n' <"$tmp/out" | wc -l))))
    succeeds "evaluate on lines" eval "$tmp/spoken" --text "$tmp/lines.jsonl" --window 16 --json
    equal "their tokens" "$(json_number text_tokens)" $count
    succeeds "calibrate on lines" quantize "$tmp/spoken" -o "$tmp/by-lines" --method gptq --calib "$tmp/lines.jsonl" \
        --samples 4 --seqlen 16
    cmp -s "$tmp/by-lines/chat_template.jinja" "$tmp/spoken/chat_template.jinja"
    equal "the template is copied" $? 0
    set -- eval "$tmp/spoken" --window 16 --text "$tmp/bad.jsonl"
    head -n 2 "$tmp/lines.jsonl" >"$tmp/bad.jsonl"
    echo '{"messages": 5}' >>"$tmp/bad.jsonl"
    refuses 1 "bad.jsonl: line 3: .*a list of at least one message" "a line without messages" "$@"
    echo '{"prompt": "x"}' >"$tmp/bad.jsonl"
    refuses 1 'line 1: needs either' "a line of something else" "$@"
    printf '{"text": "x"}\n\n{"text": "y"}\n' >"$tmp/bad.jsonl"
    refuses 1 'line 2: JSON' "an empty line" "$@"
    echo '{"messages": [{"role": "tool", "content": "x"}]}' >"$tmp/bad.jsonl"
    refuses 1 'line 1: .*No role tool' "a conversation that the template refuses" "$@"
    echo '{"messages": [{"role": "user", "content": "x"}], "tools": []}' >"$tmp/bad.jsonl"
    refuses 1 'line 1: .*"tools" is not supported' "a line with tools" "$@"
    rm "$tmp/spoken/chat_template.jinja"
    refuses 1 'no chat template' "conversations without a template" eval "$tmp/spoken" --window 16 \
        --text "$tmp/lines.jsonl"
}

# until_there FILE JOB: waits until a job in the background has made a file.
until_there()
{
    turns=0
    while [ ! -e "$1" ] && [ $turns -lt 3000 ] && kill -0 "$2" 2>/dev/null; do
        sleep 0.02
        turns=$((turns + 1))
    done
}

# interrupt SIGNAL: stops a run when its first block is finished. Portable kernels and one thread make the
# run slow enough to be caught midway; they do not change the result.
interrupt()
{
    rm -rf "$tmp/resumed" "$tmp/resumed.partial"
    $RUN "$BUILD/ptq" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
        --isa portable --threads 1 >/dev/null 2>"$tmp/err" &
    job=$!
    until_there "$tmp/resumed.partial/block-00000.safetensors" $job
    kill -s "$1" $job 2>/dev/null
    wait $job 2>/dev/null
    interrupted=$?
    [ -e "$tmp/resumed.partial" ] && [ ! -e "$tmp/resumed" ]
}

resume()
{
    succeeds "$1" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
        --resume --json || return
    equal "$1: the bytes of a run that was not stopped" \
        "$(sha256 "$tmp/resumed/model.safetensors")" "$(sha256 "$tmp/gptq4/model.safetensors")"
    holds "$1: blocks were taken over" "$(json_number resumed_blocks) >= 1"
    for file in config.json tokenizer.json; do
        cmp -s "$tmp/resumed/$file" "$tmp/gptq4/$file"
        equal "$1: $file" $? 0
    done
    [ ! -e "$tmp/resumed.partial" ]
    equal "$1: nothing else is left" $? 0
}

# A modifiable copy of the model.
changed()
{
    rm -rf "$tmp/changed"
    cp -r $tiny "$tmp/changed"
    chmod -R u+w "$tmp/changed"
}

# untouched WHAT DIRECTORY SUMS: its contents are as when listing gave SUMS.
listing()
{
    (cd "$1" && find . -type f | sort | while read -r file; do
        echo "$file $(sha256 "$file")"
    done)
}

untouched()
{
    equal "$1 is left alone" "$(listing "$2" 2>&1)" "$3"
}

# User files with the name of a working directory or of a file being written.
test_somebody_elses()
{
    echo "what is somebody else's"
    rm -rf "$tmp/own"
    mkdir "$tmp/own"
    cp -r $tiny "$tmp/own/net.partial"
    chmod -R u+w "$tmp/own"
    sums=$(listing "$tmp/own/net.partial")
    set -- --method rtn -o "$tmp/own/net"
    refuses 1 "net.partial" "a model in OUT.partial" quantize $tiny "$@"
    refuses 1 "net.partial.*--resume" "a model in OUT.partial, --resume" quantize $tiny "$@" --resume
    refuses 1 "net.partial" "OUT.partial is the model" quantize "$tmp/own/net.partial" "$@"
    untouched "a model in OUT.partial" "$tmp/own/net.partial" "$sums"
    rm "$tmp/own/net.partial/config.json"
    echo '{"made by": "somebody"}' >"$tmp/own/net.partial/run.json"
    refuses 1 "net.partial" "a run.json of another program" quantize $tiny "$@"
    rm -rf "$tmp/own/net.partial"
    mkdir "$tmp/own/elsewhere"
    ln -s elsewhere "$tmp/own/net.partial"
    refuses 1 "net.partial" "a link in place of OUT.partial" quantize $tiny "$@"
    rm "$tmp/own/net.partial"
    refuses 1 "name of the output is empty" "no name of the output" \
        quantize $tiny --method rtn -o ""
    mkdir "$tmp/own/net.partial"
    : >"$tmp/own/mine"
    ln "$tmp/own/mine" "$tmp/own/net.partial/run.json"
    refuses 1 "net.partial" "a run.json that is somebody's other file" quantize $tiny "$@"
    equal "and it stays as it was" "$(wc -c <"$tmp/own/mine")" 0
    rm "$tmp/own/net.partial/run.json"
    succeeds "an empty OUT.partial is taken" quantize $tiny "$@"
    rm -rf "$tmp/own/net"

    # A run's own directory, whose files are read by links or as they are: nothing in it may be replaced.
    mkdir "$tmp/own/net.partial" "$tmp/own/linked"
    echo '{"made_by": "ptq quantize", "version"' >"$tmp/own/net.partial/run.json"
    for file in config.json model.safetensors tokenizer.json; do
        cat $tiny/$file >"$tmp/own/net.partial/$file"
        ln -s "../net.partial/$file" "$tmp/own/linked/$file"
    done
    cat $calib >"$tmp/own/net.partial/merges.txt"
    sums=$(listing "$tmp/own/net.partial")
    refuses 1 "net.partial/[a-z.]*json.*own/linked" "a model of symbolic links into OUT.partial" \
        quantize "$tmp/own/linked" "$@"
    refuses 1 "net.partial/[a-z.]*json.*own/linked" "the same with --resume" quantize "$tmp/own/linked" "$@" --resume
    refuses 1 "merges.txt" "a calibration text in OUT.partial" quantize $tiny --method gptq \
        -o "$tmp/own/net" --calib "$tmp/own/net.partial/merges.txt"
    mv "$tmp/own/net.partial" "$tmp/own/rtn-w4a16.partial"
    refuses 1 "merges.txt" "a text in the directory of a row" compare $tiny --methods rtn $small \
        --text "$tmp/own/rtn-w4a16.partial/merges.txt" --keep "$tmp/own"
    mv "$tmp/own/rtn-w4a16.partial" "$tmp/own/net.partial"
    untouched "an input in OUT.partial" "$tmp/own/net.partial" "$sums"
    rm "$tmp/own/linked/model.safetensors"
    ln "$tmp/own/net.partial/model.safetensors" "$tmp/own/linked/model.safetensors"
    cat $tiny/config.json >"$tmp/own/other.json"
    mv "$tmp/own/other.json" "$tmp/own/linked/config.json"
    rm "$tmp/own/linked/tokenizer.json" "$tmp/own/net.partial/merges.txt"
    refuses 1 "net.partial/model.safetensors.*own/linked" "a model with a hard link into OUT.partial" \
        quantize "$tmp/own/linked" "$@"
    rm -rf "$tmp/own/net.partial" "$tmp/own/linked"

    # A user's file in our directory; files left by a kill are ours.
    mkdir "$tmp/own/net.partial"
    echo '{"made_by": "ptq quantize", "version"' >"$tmp/own/net.partial/run.json"
    mkdir "$tmp/own/net.partial/vocab.json"
    refuses 1 "vocab.json" "a directory named as a file of ours" quantize $tiny "$@"
    rmdir "$tmp/own/net.partial/vocab.json"
    echo mine >"$tmp/own/net.partial/block-notes.txt"
    : >"$tmp/own/net.partial/block-00000.safetensors"
    sums=$(listing "$tmp/own/net.partial")
    refuses 1 "block-notes.txt" "a file of the user's in OUT.partial" quantize $tiny "$@"
    untouched "a file of the user's in OUT.partial" "$tmp/own/net.partial" "$sums"
    refuses 1 "without --resume" "a damaged run.json" quantize $tiny "$@" --resume
    rm "$tmp/own/net.partial/block-notes.txt"
    : >"$tmp/own/net.partial/block-00007.safetensors.2.partial"
    succeeds "what a kill left is cleared" quantize $tiny "$@"
    equal "and does not get into the result" "$(ls "$tmp/own/net" | tr '\n' ' ')" \
        "config.json model.safetensors tokenizer.json tokenizer_config.json "

    # Outputs that are files.
    rm -rf "$tmp/own"
    mkdir "$tmp/own"
    cp test/data/golden/layer-a.safetensors "$tmp/own/in"
    cp $tiny/config.json "$tmp/own/out.partial"
    mkfifo "$tmp/own/pipe"
    refuses 1 "pipe: is not a regular file" "an output that is a pipe" layer "$tmp/own/in" \
        --weight weight --input input --method rtn --group 32 -o "$tmp/own/pipe"
    [ -p "$tmp/own/pipe" ]
    equal "and it stays one" $? 0
    rm "$tmp/own/pipe"
    ln -s in "$tmp/own/soft"
    ln "$tmp/own/in" "$tmp/own/hard"
    sums=$(listing "$tmp/own")
    for file in in ../own/in soft hard; do
        refuses 1 "would replace" "layer's output is its input, as $file" layer "$tmp/own/in" \
            --weight weight --input input --method rtn -o "$tmp/own/$file"
    done
    refuses 1 "directory" "layer's output is a directory" layer "$tmp/own/in" \
        --weight weight --input input --method rtn -o "$tmp/own"
    for file in "$tiny/config.json" "$tiny/../llama-tiny/tokenizer.json" $text $calib; do
        refuses 1 "would replace" "compare's page is an input: $file" compare $tiny $small \
            --text $text --html "$file"
    done
    untouched "an input" "$tmp/own" "$sums"
    succeeds "layer beside a file that is called OUT.partial" layer "$tmp/own/in" --weight weight \
        --input input --method rtn -o "$tmp/own/out"
    equal "the file OUT.partial" "$(sha256 "$tmp/own/out.partial")" "$(sha256 $tiny/config.json)"
    rm -rf "$tmp/own"
}

# Two runs with the same output: one is refused, the other's result is complete.
test_two_runs()
{
    echo "two runs with one output"
    rm -rf "$tmp/resumed" "$tmp/resumed.partial"
    $RUN "$BUILD/ptq" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
        >/dev/null 2>&1 &
    first=$!
    turns=0
    while [ ! -e "$tmp/resumed.partial/run.json" ] && [ $turns -lt 3000 ] && kill -0 $first 2>/dev/null
    do
        turns=$((turns + 1))
        sleep 0.01
    done
    kill -STOP $first
    for resume in "" --resume; do
        refuses 1 "another run" "a second run $resume" quantize $tiny -o "$tmp/resumed/" --method rtn \
            --group 32 $resume
    done
    kill -CONT $first
    wait $first
    equal "exit status of the first run" $? 0
    equal "its model" "$(sha256 "$tmp/resumed/model.safetensors")" \
        "$(sha256 "$tmp/gptq4/model.safetensors")"
    [ ! -e "$tmp/resumed.partial" ]
    equal "nothing else is left by two runs" $? 0
}

test_resume()
{
    echo "interruption"
    quantize gptq4 --method gptq --bits 4 --group 64 $small
    if ! interrupt KILL; then
        fail "a run could not be killed in the middle" "$(cat "$tmp/err")"
        return
    fi
    set -- quantize $tiny -o "$tmp/resumed" --method gptq --group 64 --resume
    refuses 1 "resumed.partial.*settings bits" "--resume with other bits" "$@" --bits 3 $small
    refuses 1 "resumed.partial.*settings damp" "--resume with a tiny bit more damping" "$@" $small \
        --damp 0.01000000001
    refuses 1 "resumed.partial.*calibration" "--resume with another text" \
        "$@" --calib $text --samples 4 --seqlen 64
    cp "$tmp/resumed.partial/run.json" "$tmp/run.json"
    edit "$tmp/resumed.partial/run.json" 's/"algorithm_version": /&9/'
    refuses 1 "resumed.partial.*algorithm_version differs" "--resume with other algorithms" "$@" $small
    cp "$tmp/run.json" "$tmp/resumed.partial/run.json"
    set -- -o "$tmp/resumed" --method gptq --group 64 --resume $small
    changed
    put_bytes "$tmp/changed/model.safetensors" model.embed_tokens.weight '\001\000'
    refuses 1 "resumed.partial.*tensors model.embed_tokens.weight" "--resume with other weights" \
        quantize "$tmp/changed" "$@"
    changed # behind the first 4096 bytes
    put_bytes "$tmp/changed/model.safetensors" model.layers.3.mlp.down_proj.weight '\001' 80000
    refuses 1 "tensors model.layers.3.mlp.down_proj.weight" "--resume with one other weight" \
        quantize "$tmp/changed" "$@"
    for edit in rope_theta:10000.0:20000.0 rms_norm_eps:1e-05:1e-04 max_position_embeddings:1024:2048; do
        changed
        old=${edit#*:}
        edit "$tmp/changed/config.json" "s/\"${edit%%:*}\": ${old%%:*}/\"${edit%%:*}\": ${old#*:}/"
        refuses 1 "resumed.partial.*config.json" "--resume with another ${edit%%:*}" \
            quantize "$tmp/changed" "$@"
    done
    set -- quantize $tiny -o "$tmp/resumed" --method gptq --group 64 --resume
    cp -r "$tmp/resumed.partial" "$tmp/kept"
    resume "--resume after kill -9"

    rm -rf "$tmp/resumed"
    mv "$tmp/kept" "$tmp/resumed.partial"
    head -c 5000 "$tmp/resumed.partial/block-00000.safetensors" >"$tmp/block"
    mv "$tmp/block" "$tmp/resumed.partial/block-00000.safetensors"
    refuses 1 "block-00000" "--resume with a damaged block" "$@" --bits 4 $small
    [ -e "$tmp/resumed.partial/run.json" ]
    equal "a damaged block costs only itself" $? 0
    rm "$tmp/resumed.partial/block-00000.safetensors"
    succeeds "--resume without the damaged block" "$@" --bits 4 $small
    equal "its model" "$(sha256 "$tmp/resumed/model.safetensors")" \
        "$(sha256 "$tmp/gptq4/model.safetensors")"

    if ! interrupt TERM; then
        fail "a run could not be interrupted" "$(cat "$tmp/err")"
        return
    fi
    equal "exit status after SIGTERM" $interrupted 1
    grep -q -e --resume "$tmp/err"
    equal "the message after SIGTERM tells of --resume" $? 0
    resume "--resume after SIGTERM"

    # What is said of finished blocks is true at the end of the run, not only when they were made.
    rm -rf "$tmp/resumed"
    $RUN "$BUILD/ptq" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
        --isa portable --threads 1 >/dev/null 2>"$tmp/err" &
    until_there "$tmp/resumed.partial/block-00000.safetensors" $!
    mkdir "$tmp/resumed"
    wait $!
    equal "exit status where OUT was made by somebody else" $? 1
    grep -q "4 finished blocks are kept" "$tmp/err"
    equal "the message says that all blocks are kept" $? 0
    rmdir "$tmp/resumed"
    resume "--resume after OUT was taken away"
    rm -rf "$tmp/resumed"
    $RUN "$BUILD/ptq" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
        --isa portable --threads 1 >/dev/null 2>"$tmp/err" &
    until_there "$tmp/resumed.partial/block-00000.safetensors" $!
    rm "$tmp/resumed.partial/block-00000.safetensors"
    wait $!
    equal "exit status where a block was removed" $? 1
    grep -q "are kept" "$tmp/err"
    equal "no block is said to be kept" $? 1

    if [ -n "$RUN" ]; then
        skip "a full disk in the middle: not under emulation"
        return
    fi
    # Files are limited to 350 KB: the blocks fit, the whole model does not.
    rm -rf "$tmp/resumed"
    (
        ulimit -f 700
        exec "$BUILD/ptq" quantize $tiny -o "$tmp/resumed" --method gptq --bits 4 --group 64 $small \
            >/dev/null 2>"$tmp/err"
    )
    equal "exit status with a full disk" $? 1
    grep -q "File too large" "$tmp/err"
    equal "the message says what the disk said" $? 0
    resume "--resume after a full disk"
    set -- --method awq --fold on --group 64 $small --gptaq 0.25 --round gptq
    quantize folded "$@"
    tr '{' '\n' <"$tmp/out" | grep '"equalization"' | sed 's/].*//' >"$tmp/wanted"
    rm -rf "$tmp/refolded"
    (
        ulimit -f 700
        exec "$BUILD/ptq" quantize $tiny -o "$tmp/refolded" "$@" >/dev/null 2>"$tmp/err"
    )
    equal "exit status of a folded run with a full disk" $? 1
    succeeds "--resume of a folded run" quantize $tiny -o "$tmp/refolded" "$@" --resume --json
    tr '{' '\n' <"$tmp/out" | grep '"equalization"' | sed 's/].*//' >"$tmp/report"
    equal "its report" "$(sha256 "$tmp/report")" "$(sha256 "$tmp/wanted")"
    equal "its model" "$(sha256 "$tmp/refolded/model.safetensors")" \
        "$(sha256 "$tmp/folded/model.safetensors")"
    (
        ulimit -f 10
        exec "$BUILD/ptq" quantize $tiny -o "$out" --method rtn >/dev/null 2>"$tmp/err"
    )
    equal "exit status with a disk full at once" $? 1
    [ ! -e "$out" ] && [ ! -e "$out.partial" ]
    equal "nothing is left by a run that finished no block" $? 0
}

# put_bytes FILE TENSOR BYTES [OFFSET]: overwrites bytes of a tensor; BYTES is a printf format.
put_bytes()
{
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    begin=$(head -c $((header + 8)) "$1" | tail -c "$header" |
        sed "s/.*\"$2\":{[^}]*\"data_offsets\":\\[\\([0-9]*\\),.*/\\1/")
    printf "$3" | dd of="$1" bs=1 seek=$((header + 8 + begin + ${4:-0})) conv=notrunc 2>/dev/null
}

# edit FILE EXPRESSION: sed on a file that may be binary.
edit()
{
    LC_ALL=C sed "$2" "$1" >"$tmp/edited" && mv "$tmp/edited" "$1"
}

# A fresh copy of the model, to be corrupted.
fresh()
{
    rm -rf "$tmp/bad"
    mkdir "$tmp/bad"
    for file in config.json model.safetensors tokenizer.json tokenizer_config.json; do
        cat $tiny/$file >"$tmp/bad/$file"
    done
    weights=$tmp/bad/model.safetensors
}

# bad PATTERN WHAT: quantize and eval must reject the corrupted copy, with the same pattern.
bad()
{
    if cmp -s $tiny/model.safetensors "$tmp/bad/model.safetensors" &&
        cmp -s $tiny/config.json "$tmp/bad/config.json" &&
        cmp -s $tiny/tokenizer.json "$tmp/bad/tokenizer.json"; then
        fail "$2: this test does not spoil anything"
    fi
    refuses 1 "$1" "quantize: $2" quantize "$tmp/bad" -o "$out" --method gptq $small
    refuses 1 "$1" "eval: $2" eval "$tmp/bad" --text $text --window 64 --max-windows 1
}

test_bad_weights()
{
    echo "bad weights"
    size=$(wc -c <$tiny/model.safetensors)
    for length in 0 1 7 8 9 100 5000 300000 $((size - 1)); do
        fresh
        head -c $length $tiny/model.safetensors >"$weights"
        bad "model.safetensors" "model.safetensors cut to $length bytes"
    done
    fresh
    printf 'x' >>"$weights"
    bad "model.safetensors" "a byte too many"
    for header in '\377\377\377\377\377\377\377\377' '\377\377\377\377\377\377\377\177' \
        '\000\000\000\000\000\000\000\000' '\001\000\000\000\000\000\000\000' \
        '\000\000\000\000\001\000\000\000'; do
        fresh
        printf "$header" | dd of="$weights" bs=1 conv=notrunc 2>/dev/null
        bad "model.safetensors" "header length $header"
    done
    fresh
    head -c 100000 $tiny/tokenizer.json >"$weights"
    bad "model.safetensors" "a text in place of the weights"
    fresh
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "[" }' </dev/null >"$tmp/deep"
    { printf '\040\116\000\000\000\000\000\000'; cat "$tmp/deep"; } >"$weights"
    bad "model.safetensors" "a header of brackets"

    # The header's length is unchanged, so that nothing else is wrong.
    for change in 's/"data_offsets":\[262400,352512\]/"data_offsets":[262402,352514]/' \
        's/"data_offsets":\[262400,352512\]/"data_offsets":[352512,262400]/' \
        's/"data_offsets":\[262400,352512\]/"data_offsets":[262400,999999]/' \
        's/"data_offsets":\[262400,352512\]/"data_offsets":[-62400,352512]/' \
        's/"shape":\[128,352\]/"shape":[352,352]/' \
        's/"shape":\[128,352\]/"shape":[-28,352]/' \
        's/"shape":\[128,352\]/"shape":[128,1e9]/' \
        's/"dtype":"F16"/"dtype":"F32"/' \
        's/"dtype":"F16"/"dtype":"X16"/' \
        's/"model.norm.weight"/"model.norm.weighs"/' \
        's/model.layers.2.mlp.up_proj.weight/model.layers.2.mlp.up_prok.weight/' \
        's/model.layers.2.mlp.up_proj.weight/model.layers.1.mlp.up_proj.weight/' \
        's/"data_offsets"/"data_offsetz"/'; do
        fresh
        edit "$weights" "$change"
        bad "bad" "model.safetensors after $change"
    done

    fresh
    put_bytes "$weights" model.layers.3.mlp.down_proj.weight '\000\176'
    bad "model.layers.3.mlp.down_proj.weight" "NaN in a weight"
    fresh
    put_bytes "$weights" model.layers.1.self_attn.q_proj.weight '\000\374'
    bad "model.layers.1.self_attn.q_proj.weight" "infinity in a weight"
    fresh
    put_bytes "$weights" model.layers.2.input_layernorm.weight '\001\175'
    bad "model.layers.2.input_layernorm.weight" "NaN in a norm"
    fresh
    put_bytes "$weights" model.embed_tokens.weight '\000\176'
    bad "model.embed_tokens.weight" "NaN in the embedding"
    fresh
    rm "$weights"
    bad "bad" "no weights"
    rm -rf "$tmp/bad"
    refuses 1 "bad" "a model that is not there" quantize "$tmp/bad" -o "$out" --method rtn
}

test_bad_config()
{
    echo "bad config.json and tokenizer.json"
    size=$(wc -c <$tiny/config.json)
    for length in 0 1 100 $((size - 3)); do
        fresh
        head -c $length $tiny/config.json >"$tmp/bad/config.json"
        bad "config.json" "config.json cut to $length bytes"
    done
    # Sizes that differ from the tensors', impossible sizes, and unsupported features.
    for change in hidden_size:256 hidden_size:0 hidden_size:-128 hidden_size:1e300 hidden_size:'"x"' \
        intermediate_size:353 num_attention_heads:0 num_attention_heads:3 num_key_value_heads:3 \
        num_hidden_layers:5 num_hidden_layers:0 num_hidden_layers:999999999999 vocab_size:2048 \
        vocab_size:0 max_position_embeddings:0 'model_type:"no_such_model"' \
        'hidden_act:"no_such_function"' rms_norm_eps:-1 rope_theta:0; do
        fresh
        edit "$tmp/bad/config.json" "s/\"${change%%:*}\": *[^,}]*/\"${change%%:*}\": ${change#*:}/"
        bad "bad" "$change"
    done
    # Members of other models; empty ones are harmless.
    for change in partial_rotary_factor:0.5 rotary_pct:0.25 'no_rope_layers:[1]' scale_emb:12 \
        use_bidirectional_attention:true 'pruned_heads:{"0": [1]}' attention_multiplier:0.1; do
        fresh
        edit "$tmp/bad/config.json" "1s/{/{\"${change%%:*}\": ${change#*:}, /"
        bad "${change%%:*}" "$change"
    done
    fresh
    edit "$tmp/bad/config.json" '1s/{/{"pruned_heads": {}, "no_rope_layers": [], "rotary_pct": 1.0, /'
    succeeds "members that ask for nothing" inspect "$tmp/bad"
    fresh
    { printf '\357\273\277'; cat $tiny/config.json; } >"$tmp/bad/config.json"
    bad "config.json.*byte order mark (BOM)" "config.json with a BOM"
    fresh
    edit "$tmp/bad/config.json" '1s/{/{"quantization_config": {"quant_method": "ptq", "version": 1}, /'
    succeeds "a quantization_config without quantized matrices" quantize "$tmp/bad" -o "$tmp/plain" --method rtn
    grep -q "not used: config.json's quantization_config (no matrix is quantized)" "$tmp/err"
    equal "which is said" $? 0
    rm -rf "$tmp/plain"
    cp -r "$tmp/gptq4" "$tmp/plain"
    edit "$tmp/plain/config.json" 's/"quantization_config"/"somebody"/'
    refuses 1 "quantized already" "quantized matrices without a quantization_config" \
        quantize "$tmp/plain" -o "$out" --method rtn
    rm -rf "$tmp/plain"
    fresh
    rm "$tmp/bad/config.json"
    bad "config.json" "no config.json"
    fresh
    rm "$tmp/bad/tokenizer.json"
    bad "tokenizer.json" "no tokenizer.json"
    size=$(wc -c <$tiny/tokenizer.json)
    for length in 0 1 1000 $((size / 2)) $((size - 2)); do
        fresh
        head -c $length $tiny/tokenizer.json >"$tmp/bad/tokenizer.json"
        bad "tokenizer.json" "tokenizer.json cut to $length bytes"
    done
    fresh
    edit "$tmp/bad/tokenizer.json" 's/"type": *"BPE"/"type": "Unheard"/'
    bad "tokenizer.json" "a tokenizer of another kind"
    fresh
    cat "$tmp/deep" >"$tmp/bad/tokenizer.json"
    bad "tokenizer.json" "brackets in place of the tokenizer"
}

test_bad_use()
{
    echo "bad texts, outputs and options"
    set -- quantize $tiny -o "$out" --method gptq --group 64 --samples 4 --seqlen 64
    refuses 1 "nowhere.txt" "no calibration text" "$@" --calib "$tmp/nowhere.txt"
    head -c 60 $calib >"$tmp/short.txt"
    refuses 1 "short.txt" "a text that is too short" "$@" --calib "$tmp/short.txt"
    : >"$tmp/empty.txt"
    refuses 1 "empty.txt" "an empty text" "$@" --calib "$tmp/empty.txt"
    refuses 1 "$tmp" "a directory as text" "$@" --calib "$tmp"
    printf 'not UTF-8: \377\376\300\200 %0400d' 0 >"$tmp/latin.txt"
    succeeds "a text that is not UTF-8" eval $tiny --text "$tmp/latin.txt" --window 64
    refuses 1 "nowhere.txt" "eval without its text" eval $tiny --text "$tmp/nowhere.txt"
    refuses 1 "short.txt" "eval of a text that is too short" eval $tiny --text "$tmp/short.txt"
    refuses 1 "max_position" "a window that is too long" eval $tiny --text $text --window 4096
    refuses 1 "activations" "--activations for a model that is not quantized" \
        eval $tiny --text $text --activations int8-token
    refuses 1 "quantized already" "quantizing twice" quantize "$tmp/gptq4" -o "$out" --method rtn

    set -- quantize $tiny --method rtn -o
    refuses 1 "nowhere/out" "output in no directory" "$@" "$tmp/nowhere/out"
    refuses 1 "short.txt" "output is a file" "$@" "$tmp/short.txt"
    refuses 1 "short.txt" "output in a file" "$@" "$tmp/short.txt/out"
    mkdir "$tmp/there"
    refuses 1 "there" "output exists" "$@" "$tmp/there"
    equal "an output that exists is left alone" "$(ls -A "$tmp/there" | wc -l | tr -d ' ')" 0
    ln -s nowhere "$tmp/dangling"
    refuses 1 "dangling" "output is a dangling link" "$@" "$tmp/dangling"
    for path in short.txt there dangling; do
        [ ! -e "$tmp/$path.partial" ]
        equal "no $path.partial" $? 0
    done
    : >"$tmp/blocked.partial"
    refuses 1 "blocked.partial" "a file where OUT.partial should be" "$@" "$tmp/blocked"
    set -- quantize $tiny -o "$out"
    refuses 2 "method" "no method" "$@"
    refuses 2 "magic" "unknown method" "$@" --method magic
    refuses 2 "frobnicate" "unknown option" "$@" --method rtn --frobnicate 3
    refuses 2 "bits" "7 bits" "$@" --method rtn --bits 7
    refuses 2 "uint8-token.*no method" "activations with a zero point" \
        "$@" --method rtn --activations uint8-token
    refuses 2 "bits" "bits that are no number" "$@" --method rtn --bits four
    refuses 2 "group" "group 33" "$@" --method rtn --group 33
    refuses 2 "group" "group -64" "$@" --method rtn --group -64
    refuses 2 "asym" "--sym and --asym" "$@" --method rtn --sym --asym
    refuses 2 "calib" "gptq without --calib" "$@" --method gptq
    refuses 2 "calib" "--round gptq without --calib" "$@" --method rtn --round gptq
    refuses 2 "damp" "negative damping" "$@" --method gptq $small --damp -1
    refuses 2 "damp" "damping nan" "$@" --method gptq $small --damp nan
    refuses 2 "grid" "unknown grid" "$@" --method rtn --grid magic
    refuses 2 "threads" "0 threads" "$@" --method rtn --threads 0
    refuses 2 "threads" "too many threads" "$@" --method rtn --threads 99999999999999999999
    refuses 2 "samples" "0 samples" "$@" --method gptq --calib $calib --samples 0
    refuses 2 "isa" "--isa without a value" "$@" --method rtn --isa
    refuses 2 "magic" "unknown instruction set" "$@" --method rtn --isa magic
    refuses 2 "format" "unknown format" "$@" --method rtn --format magic
    refuses 2 "bits" "an option given twice" "$@" --method rtn --bits 4 --bits 4
    refuses 2 "json" "a flag with a value" "$@" --method rtn --json=yes
    refuses 2 "" "no output" quantize $tiny --method rtn
    refuses 2 "" "no model" quantize -o "$out" --method rtn
    refuses 2 "" "two models" quantize $tiny extra -o "$out" --method rtn
    refuses 2 "magic" "unknown command" magic
    refuses 2 "" "eval without a text" eval $tiny
    refuses 2 "window" "window 1" eval $tiny --text $text --window 1
    refuses 2 "activations" "unknown activations" eval $tiny --text $text --activations int9
    ptq
    equal "exit status without arguments" $status 2
}

# The model's own embedding serves as input: realistic numbers in a file that always exists.
test_layer()
{
    echo "layer"
    set -- layer $tiny/model.safetensors --input model.embed_tokens.weight \
        --weight model.layers.0.mlp.up_proj.weight
    for method in rtn gptq; do
        succeeds "layer $method" "$@" --method $method --bits 3 --group 64 --json \
            --test model.layers.1.self_attn.q_proj.weight -o "$tmp/$method.safetensors" --output-rows 5
        json "layer --json" method bits group sym weight_error output_error test_error seconds
        eval "$method=$(json_number output_error)"
        for name in codes scales zeros g_idx dequant output; do
            head -c 2000 "$tmp/$method.safetensors" | grep -aq "\"$name\""
            equal "layer $method writes $name" $? 0
        done
    done
    holds "layer: gptq beats rtn" "$gptq < 0.8 * $rtn"
    set -- "$@" --method gptq
    whole=
    for variant in "--threads 1" "--threads 3" "--isa portable"; do
        succeeds "layer $variant" "$@" -o "$tmp/layer.safetensors" $variant --activations int8-token \
            --output-rows 5
        hash=$(sha256 "$tmp/layer.safetensors")
        equal "layer $variant" "$hash" "${whole:-$hash}"
        whole=$hash
    done
    out=$tmp/refused.safetensors
    set -- layer $tiny/model.safetensors --method rtn -o "$out"
    refuses 1 "no_such" "layer: no such weight" "$@" --weight no_such --input model.embed_tokens.weight
    refuses 1 "model.norm.weight" "layer: a weight that is no matrix" "$@" --weight model.norm.weight \
        --input model.embed_tokens.weight
    refuses 1 "down_proj" "layer: shapes that do not fit" "$@" --input model.embed_tokens.weight \
        --weight model.layers.0.mlp.down_proj.weight
    refuses 1 "nowhere" "layer: no file" layer "$tmp/nowhere" --method rtn --weight a --input b -o "$out"
    refuses 1 "config.json" "layer: a file of another kind" layer $tiny/config.json --method rtn \
        --weight a --input b -o "$out"
    refuses 2 "" "layer: no weight" "$@"
    refuses 1 "output is empty" "layer: no name of the output" layer $tiny/model.safetensors --method rtn \
        --weight model.layers.0.mlp.up_proj.weight --input model.embed_tokens.weight -o ""
    refuses 1 "nowhere" "layer: output in no directory" layer $tiny/model.safetensors --method rtn \
        --weight model.layers.0.mlp.up_proj.weight --input model.embed_tokens.weight \
        -o "$tmp/nowhere/out"
    out=$tmp/refused
}

# Tests that it measures and reports; no test checks speed.
test_bench()
{
    echo "bench"
    set -- bench --n 96 --k 160 --group 32 --threads 1
    refuses 2 "m must be" "bench: no rows" "$@" --m 0
    refuses 2 "m must be" "bench: not a list" "$@" --m 1,
    refuses 2 "multiple of 32" "bench: a group that cannot be" bench --group 33 --m 1
    refuses 2 "w5a5" "bench: no such kernel" "$@" --kernel w5a5
    refuses 2 "no other" "bench: an argument" "$@" model
    if [ -n "$RUN" ]; then
        skip "bench: not under emulation"
        return
    fi
    succeeds "bench" "$@" --m 1,3
    for kernel in w4a8 w8a8 w4a32 f32 xtx; do
        grep -q "^$kernel " "$tmp/out"
        equal "bench has lines of $kernel" $? 0
    done
    succeeds "bench --json" "$@" --m 3 --kernel w4a8 --asym --json
    json "bench --json" cpu limits rows
    for key in kernel isa m n k group threads seconds gops gbps limit_fraction; do
        grep -q "\"$key\":" "$tmp/out"
        equal "bench --json has $key" $? 0
    done
    succeeds "bench of portable kernels" "$@" --m 1 --isa portable --json
}

# The outputs of the original implementations.
test_golden()
{
    echo "layer against the originals' outputs"
    if [ ! -e test/data/golden/index.json ]; then
        skip "no test/data/golden"
    elif ! find_python json array; then
        skip "no python3"
    elif $python test/golden.py test/data/golden $RUN "$BUILD/ptq" >"$tmp/out" 2>&1; then
        pass
    else
        fail "test/golden.py" "$(tail -n 20 "$tmp/out")"
    fi
    checker=$shared/tools/check_golden.py
    if [ ! -e $checker ]; then
        skip "$checker is not there"
    elif [ -n "$RUN" ]; then
        skip "not under emulation"
    elif ! find_python numpy; then
        skip "no python3 with numpy"
    else
        for method in rtn gptq awq smoothquant fptq; do
            if $python $checker "$BUILD/ptq" $shared/golden $method >"$tmp/out" 2>&1; then
                pass
                sed 's/^/    /' "$tmp/out"
            else
                fail "$checker $method" "$(tail -n 20 "$tmp/out")"
            fi
        done
    fi
}

# BLOOM: fused q, k and v, biases everywhere, a site whose scale cannot be folded.
test_bloom()
{
    echo "bloom"
    bloom=$shared/models/bloom-3m
    if [ ! -d $bloom ]; then
        skip "$bloom is not there"
        return
    fi
    set -- --window 256 --max-windows 24
    perplexity $bloom $text "$@"
    whole=$perplexity
    for method in rtn gptq awq "awq --fold on" smoothquant "smoothquant --fold on" \
        auto "gptq --token-weights attention-heads" \
        "fptq --equalize lae --round gptq" "fptq --equalize lae --round gptq --fold on"; do
        rm -rf "$tmp/bloom"
        succeeds "bloom, $method" quantize $bloom -o "$tmp/bloom" --json --method $method \
            --group 64 --calib $calib --samples 16 --seqlen 128
        perplexity "$tmp/bloom" $text "$@"
        holds "bloom, $method: near full precision" "$perplexity < 1.01 * $whole"
    done
    ptq inspect "$tmp/bloom"
    equal "scales that are kept" "$(grep -c input-scale "$tmp/out")" 5
    equal "of the matrices behind GELU" "$(grep input-scale "$tmp/out" | grep -c dense_4h_to_h)" 5
}

# Checkpoints of other tools: converted to the ptq format and back, they are what they were. What is written
# in a foreign format gives the same perplexity as in the ptq format.
test_formats()
{
    echo "formats"
    set -- --window 256 --max-windows 4
    for format in gptq awq compressed-tensors; do
        for zeros in --sym --asym; do
            quantize own --method gptq $zeros --group 32 $small --scale-dtype f16
            perplexity "$tmp/own" $text "$@"
            wanted=$perplexity
            quantize foreign --method gptq $zeros --group 32 $small --format $format --shard-size 200K
            perplexity "$tmp/foreign" $text "$@" --activations own
            equal "$format $zeros, perplexity" "$perplexity" "$wanted"
            equal "$format, shards" "$(ls "$tmp/foreign" | grep -c '^model-0000[1-4]-of-0000[34].safetensors$')" \
                "$(ls "$tmp/foreign" | grep -c '^model-.*safetensors$')"
        done
        quantize foreign --method rtn --format $format
        equal "the default group in $format divides 352 columns" \
            "$(grep -c '"group_size": 32' "$tmp/foreign/config.json")" 1
    done
    for case in "gptq --bits 4 --sym" "gptq_v2 --bits 4 --asym" "gptq_v2 --bits 3 --sym"; do
        quantize foreign --method rtn ${case#* } --format gptq
        equal "checkpoint_format of ${case#* }" \
            "$(grep -c "\"checkpoint_format\": \"${case%% *}\"" "$tmp/foreign/quantize_config.json")" 1
    done
    quantize foreign --method auto --group 32 $small --format gptq
    succeeds "eval of auto in gptq" eval "$tmp/foreign" --text $text "$@"
    equal "rotations in gptq" "$(ptq inspect "$tmp/foreign" && grep -c rotation "$tmp/out")" 0
    set -- quantize $tiny -o "$out" --method gptq $small
    refuses 1 "cannot hold what --rotate asks for" "a rotation in gptq" "$@" --rotate 64 --format gptq
    refuses 1 "cannot hold what --activations asks for" "int8 in awq" "$@" --activations int8-token --format awq
    refuses 1 "cannot hold what --bits asks for" "3 bits in awq" "$@" --bits 3 --format awq
    refuses 1 "act-order" "act-order in awq" "$@" --act-order --format awq
    refuses 1 "divide the columns" "groups that do not divide K" "$@" --group 128 --format compressed-tensors
    refuses 1 "5 or 6 bits" "5 bits in gptq" "$@" --bits 5 --format gptq
    refuses 2 "shard-size" "a shard of no size" "$@" --shard-size 0
    quantize own --method gptq --rotate 64 --group 32 $small
    refuses 1 "no rotation" "convert a rotation" convert "$tmp/own" -o "$out" --format gptq
    refuses 1 "not quantized" "convert a plain model" convert $tiny -o "$out" --format gptq
    refuses 1 "no rotations" "convert a rotation to gguf" convert "$tmp/own" -o "$out.gguf" --format gguf
    refuses 2 "must be ptq, gptq, awq" "convert to an unknown format" convert "$tmp/own" -o "$out" --format marlin
    refuses 2 "format" "convert to nothing" convert "$tmp/own" -o "$out"
    quantize own --method gptq --act-order --group 32 $small
    for format in compressed-tensors awq; do
        refuses 1 "act-order" "convert act-order to $format" convert "$tmp/own" -o "$out" --format $format
        equal "what a refused conversion leaves" "$(ls -d "$out"* 2>/dev/null)" ""
    done
    quantize own --method rtn --bits 3 --group 32
    refuses 1 "4 bits" "convert 3 bits to awq" convert "$tmp/own" -o "$out" --format awq
    quantize foreign --method rtn --bits 3 --group 32 --format gptq
    quantize own --method rtn --bits 3 --group 32 --scale-dtype f16
    succeeds "diff of equal models" diff "$tmp/own" "$tmp/foreign" --json --text $text \
        --window 256 --max-windows 2
    json "diff --json" count equal same_codes same_scales others others_equal largest_difference kl.mean matrices.0.name
    for key in equal same_codes same_scales; do
        equal "diff: $key" "$(json_number $key)" 28
    done
    equal "their divergence" "$(grep -c '"kl": {"mean": 0,' "$tmp/out")" 1
    quantize foreign --method rtn --bits 3 --asym --group 32
    succeeds "diff of different models" diff "$tmp/own" "$tmp/foreign"
    equal "lines on matrices" "$(grep -c '^model.layers.*codes .*scales differ' "$tmp/out")" 28
    refuses 2 "two models" "diff of one" diff "$tmp/own"
    refuses 1 "nowhere" "diff with nothing" diff "$tmp/own" "$tmp/nowhere"
    if [ ! -d ../shared/checkpoints ] || ! find_python json; then
        skip "no python3, or no checkpoints of other tools in ../shared"
        return
    fi
    for source in ../shared/checkpoints/ct-* ../shared/checkpoints/gptq* ../shared/checkpoints/autoawq-*; do
        case $source in
        */ct-*) format=compressed-tensors ;;
        */gptq*) format=gptq ;;
        *) format=awq ;;
        esac
        rm -rf "$tmp/own" "$tmp/foreign"
        succeeds "convert $source" convert "$source" -o "$tmp/own" --format ptq
        succeeds "convert it back" convert "$tmp/own" -o "$tmp/foreign" --format $format
        equal "$source after a round trip" "$($python test/same_checkpoint.py "$source" "$tmp/foreign" 2>&1)" ""
    done
}

# All methods side by side; numbers must equal those of quantize and eval.
test_compare()
{
    echo "compare"
    set -- --window 256 --max-windows 8
    succeeds "compare" compare $tiny --calib $calib --samples 8 --seqlen 128 --text $text --group 64 \
        --json --html "$tmp/compare.html" --keep "$tmp/kept" "$@"
    json "compare --json" windows window calibration_windows rows.0.perplexity rows.11.name \
        rows.11.method rows.11.bits rows.11.activations rows.11.bytes rows.11.seconds \
        rows.11.tokens_per_second rows.11.worst_matrix rows.11.settings.group inputs.15.absmax
    tr '{' '\n' <"$tmp/out" >"$tmp/rows"
    perplexity $tiny $text "$@"
    equal "full precision, by eval" "$(row_perplexity 'full precision')" "$perplexity"
    quantize compared --method fptq --round gptq --group 64 --calib $calib --samples 8 --seqlen 128
    equal "FPTQ + GPTQ, by quantize" "$(sha256 "$tmp/compared/model.safetensors")" \
        "$(sha256 "$tmp/kept/fptq-gptq-w4a8/model.safetensors")"
    perplexity "$tmp/compared" $text "$@"
    equal "FPTQ + GPTQ, by eval" "$(row_perplexity 'FPTQ + GPTQ W4A8')" "$perplexity"
    succeeds "eval --kl" eval "$tmp/compared" --text $text --kl $tiny --json "$@"
    kl=$(sed -n 's/.*"kl": {"mean": \([^,]*\).*/\1/p' "$tmp/out")
    equal "its divergence" "$(grep -A 1 '"FPTQ + GPTQ W4A8"' "$tmp/rows" | grep -c "^\"mean\": $kl,")" 1
    grep -q "FPTQ + GPTQ W4A8" "$tmp/compare.html"
    equal "the page tells of FPTQ + GPTQ" $? 0
    mkdir "$tmp/temporary"
    TMPDIR=$tmp/temporary
    export TMPDIR
    succeeds "compare of some methods" compare $tiny --calib random --samples 4 --seqlen 64 \
        --text $text --bits 3 --methods gptq,fptq "$@"
    equal "rows of them" "$(grep -c W3A "$tmp/out")" 6
    equal "what it leaves" "$(ls "$tmp/temporary" | wc -l | tr -d ' ')" 0
    refuses 1 "nowhere" "compare of no model" compare "$tmp/nowhere" --calib $calib --text $text
    refuses 1 "quantized already" "compare of a quantized model" \
        compare "$tmp/compared" --calib $calib --text $text
    refuses 1 "nowhere" "a page in no directory" compare $tiny --calib $calib --samples 1 \
        --seqlen 64 --text $text --methods rtn --html "$tmp/nowhere/page.html" "$@"
    equal "what failures leave" "$(ls "$tmp/temporary" | wc -l | tr -d ' ')" 0
    unset TMPDIR
    refuses 2 "calib" "compare without --calib" compare $tiny --text $text
    refuses 2 "text" "compare without --text" compare $tiny --calib $calib
    refuses 2 "magic" "compare of an unknown method" \
        compare $tiny --calib $calib --text $text --methods rtn,magic
    refuses 2 "bits" "compare at 8 bits" compare $tiny --calib $calib --text $text --bits 8
    refuses 2 "group" "compare with group 33" compare $tiny --calib $calib --text $text --group 33
}

# compare --keep, killed and interrupted in the middle of a row, goes on where it was.
test_compare_resumed()
{
    echo "compare, interrupted"
    rows=$tmp/kept-rows
    set -- compare $tiny $small --text $text --window 64 --max-windows 2 --methods gptq,rtn
    succeeds "compare without interruption" "$@" --keep "$tmp/whole-rows" --json
    tr '{' '\n' <"$tmp/out" | grep -o '"name": "[^"]*"\|"perplexity": [0-9.]*\|worst_output_error.*' \
        >"$tmp/wanted"
    equal "a finished comparison has these rows" "$(ls "$tmp/whole-rows" | wc -l | tr -d ' ')" 8
    for signal in KILL TERM; do
        rm -rf "$rows"
        $RUN "$BUILD/ptq" "$@" --keep "$rows" --isa portable --threads 1 >/dev/null 2>"$tmp/err" &
        until_there "$rows/gptq-w4a16.partial/block-00000.safetensors" $!
        kill -s $signal $!
        wait $! 2>/dev/null
        [ -e "$rows/gptq-w4a16.partial/run.json" ] && [ -e "$rows/rtn-w8a8/run.json" ]
        equal "SIG$signal leaves the row under way and those before" $? 0
        [ $signal = KILL ] || grep -q "models and [1-4] blocks of the next are kept.*--resume" "$tmp/err"
        equal "SIG$signal: the message" $? 0
        before=$(ls -i "$rows/rtn-w8a8/model.safetensors")
        sums=$(listing "$rows" | cksum)
        refuses 1 "rtn-w4a16: was made with.*settings group" "--resume with another group" "$@" --group 64 \
            --keep "$rows" --resume
        refuses 1 "rtn-w8a8.*calibration" "--resume with other calibration" compare $tiny \
            --calib $calib --samples 5 --seqlen 64 --text $text --keep "$rows" --resume
        refuses 1 "exists already" "no --resume" "$@" --keep "$rows"
        equal "what was kept is left alone" "$(listing "$rows" | cksum)" "$sums"
        succeeds "compare --resume after SIG$signal" "$@" --keep "$rows" --resume --json
        tr '{' '\n' <"$tmp/out" | grep -o '"name": "[^"]*"\|"perplexity": [0-9.]*\|worst_output_error.*' \
            >"$tmp/report"
        cmp -s "$tmp/report" "$tmp/wanted"
        equal "SIG$signal: its rows are those of a run that was not stopped" $? 0
        equal "SIG$signal: its models too" "$(listing "$rows" | cksum)" \
            "$(listing "$tmp/whole-rows" | cksum)"
        equal "SIG$signal: a finished model is not made again" \
            "$(ls -i "$rows/rtn-w8a8/model.safetensors")" "$before"
    done
    mv "$rows/rtn-w4a8" "$tmp/away"
    cp -r $tiny "$rows/rtn-w4a8"
    refuses 1 "rtn-w4a8: exists already" "--resume where a row is somebody's" "$@" --keep "$rows" --resume
    rm -rf "$rows/rtn-w4a8"
    mv "$tmp/away" "$rows/rtn-w4a8"
    refuses 2 "keep" "--resume without --keep" "$@" --resume
    if [ -z "$RUN" ]; then
        # No file can be written: nothing needs to be but the page, which comes last.
        (
            ulimit -f 8
            exec "$BUILD/ptq" "$@" --keep "$rows" --resume --html "$tmp/page.html" >"$tmp/out" 2>"$tmp/err"
        )
        equal "exit status where the page cannot be written" $? 1
        grep -q "page.html.*File too large" "$tmp/err"
        equal "the message says so" $? 0
        equal "the table comes all the same" "$(grep -c W4A16 "$tmp/out")" 4
    fi
    rm -rf "$tmp/new"
    for page in "" "$tmp/nowhere/page" "$text" "$tmp/new" "$tmp/new/rtn-w4a16" "$tmp/new/../new//gptq-w4a8" \
        "$tmp/new/rtn-w4a16.partial"; do
        refuses 1 "${page##*/}\|empty" "compare --html '$page'" "$@" --keep "$tmp/new" --html "$page"
        [ ! -e "$tmp/new" ]
        equal "and no directory is left by --html '$page'" $? 0
    done
    refuses 1 "rtn-w4a16/page: is where" "a page in a finished row" "$@" --keep "$rows" --resume \
        --html "$rows/rtn-w4a16/page"
    refuses 1 "empty" "compare --keep ''" "$@" --keep ""
    refuses 1 "directory" "compare --keep FILE" "$@" --keep $text
}

row_perplexity() # NAME
{
    grep "\"name\": \"$1\"" "$tmp/rows" | sed 's/.*"perplexity": \([0-9.e+-]*\).*/\1/'
}

# Continuing a text: the ids that transformers gives, the same for any number of threads and
# instruction set; random choices that depend only on the seed.
test_generate()
{
    echo "generate"
    set -- $tiny --prompt "The city of" --tokens 24
    succeeds "generate" generate "$@" --json
    equal "the ids of transformers" "$(sed 's/.*"ids": \[\([^]]*\)\].*/\1/' "$tmp/out")" \
        "264, 322, 324, 899, 319, 362, 989, 371, 277, 264, 322, 324, 899, 319, 362, 989, 371, 277, 264, 322, 324, 899, 319, 362"
    equal "tokens of the prompt" "$(json_number prompt_tokens)" 3
    for settings in "" "--temperature 0.7 --top-p 0.9 --seed 5" "--temperature 1 --top-k 20 --min-p 0.05" \
        "--repetition-penalty 1.3"; do
        succeeds "generate $settings" generate "$@" $settings
        once=$(cat "$tmp/out")
        equal "generate $settings begins with the prompt" "$(head -c 11 "$tmp/out")" "The city of"
        for variant in "--threads 1" "--isa portable" "--stream"; do
            succeeds "generate $settings $variant" generate "$@" $settings $variant
            equal "generate $settings $variant" "$(cat "$tmp/out")" "$once"
        done
    done
    succeeds "generate" generate "$@" --temperature 1 --seed 1
    once=$(cat "$tmp/out")
    succeeds "another seed" generate "$@" --temperature 1 --seed 2
    [ "$once" != "$(cat "$tmp/out")" ]
    equal "another seed gives another text" $? 0
    succeeds "a stop text" generate "$@" --stop " Air"
    equal "the text ends before it" "$(cat "$tmp/out")" "The city of the Security"
    for stop in " Air" "Air Fo" "urity Air"; do
        succeeds "a stop text" generate "$@" --stop "$stop"
        once=$(cat "$tmp/out")
        succeeds "a stop text, streamed" generate "$@" --stop "$stop" --stream
        equal "a stop text, streamed" "$(cat "$tmp/out")" "$once"
    done
    succeeds "a head of 8 bits" generate "$@" --head-bits 8
    once=$(cat "$tmp/out")
    succeeds "a head of 8 bits, portable" generate "$@" --head-bits 8 --isa portable --threads 1
    equal "a head of 8 bits, portable" "$(cat "$tmp/out")" "$once"
    refuses 2 "head-bits must be" "a head of other widths" generate "$@" --head-bits 4
    succeeds "divergence by a head of 8 bits" eval $tiny --text $text --window 64 --max-windows 4 --kl $tiny \
        --head-bits 8 --json
    holds "it is small" "$(json_number mean) > 0 && $(json_number mean) < 0.001"
    quantize one --method rtn --bits 4
    succeeds "a quantized model speaks" generate "$tmp/one" --prompt "The city of" --tokens 8 --json
    holds "its matrices are quantized" "$(json_number quantized_matrices) > 0"
    refuses 2 "prompt" "no prompt" generate $tiny
    refuses 1 "has no tokens" "an empty prompt" generate $tiny --prompt ""
    refuses 2 "top-p must be" "a probability above 1" generate $tiny --prompt a --top-p 2
    refuses 2 "temperature must be" "a temperature that is no number" generate $tiny --prompt a --temperature x
}

# Every method on the small models of every architecture, which the unit tests have made. Their errors
# are of the size that 4 bits have.
test_architectures()
{
    echo "architectures"
    made=$BUILD/scratch/architectures
    [ -f "$made/qwen3/model.safetensors" ] || $RUN "$BUILD/unit" architectures >"$tmp/log"
    for model in "$made"/*; do
        set -- rtn gptq awq "awq --fold on" smoothquant fptq auto
        [ -z "$RUN" ] || set -- auto # which goes through most of the others
        for method; do
            rm -rf "$tmp/one"
            succeeds "$method on $(basename "$model")" quantize "$model" -o "$tmp/one" --method $method \
                --bits 4 --group 32 --calib random --samples 8 --seqlen 24 --json || continue
            holds "output errors of $method on $(basename "$model")" \
                "$(grep -o '"output_error": [^,]*' "$tmp/out" | awk '{ print $2 }' | sort -g | tail -n 1) < 0.02"
            succeeds "what $method made of $(basename "$model")" inspect "$tmp/one"
        done
    done
}

# Models in GGUF files: small ones of the unit tests, which are quantized to the same bytes as the directories they
# were made from, and those of ../shared.
test_gguf()
{
    echo "gguf"
    made=$BUILD/scratch/architectures
    [ -f "$made-qwen3.gguf" ] || $RUN "$BUILD/unit" gguf_models >"$tmp/log"
    set -- llama-bias qwen3-moe phi3 gpt2 bloom
    [ -z "$RUN" ] || set -- qwen3-moe
    for model; do
        for source in "$made/$model" "$made-$model.gguf"; do
            rm -rf "$tmp/one"
            succeeds "quantize $source" quantize "$source" -o "$tmp/one" --method auto --bits 4 --group 32 \
                --calib random --samples 8 --seqlen 24
            [ -d "$source" ] && wanted=$(sha256 "$tmp/one/model.safetensors")
        done
        equal "what auto makes of $model.gguf" "$(sha256 "$tmp/one/model.safetensors")" "$wanted"
    done
    succeeds "inspect a GGUF file" inspect test/data/blocks.gguf
    grep -q "^IQ4_XS .*IQ4_XS W4A32 .*group 32 levels" "$tmp/out"
    equal "inspect tells the types of a GGUF file" $? 0
    succeeds "inspect a GGUF file --json" inspect test/data/blocks.gguf --json
    json "inspect a GGUF file --json" metadata
    refuses 1 "general.architecture \"test\" is not supported" "a GGUF file of another architecture" \
        eval test/data/blocks.gguf --text $text
    refuses 1 "neither a Hugging Face model directory nor a GGUF file" "a safetensors file as a model" \
        eval $tiny/model.safetensors --text $text
    printf 'Hello, world!' >"$tmp/hello"
    succeeds "tokenize by a GGUF file" tokenize test/data/sentencepiece.gguf --text "$tmp/hello"
    [ -d "$shared/checkpoints/gguf-llama-tiny" ] || { skip "no ../shared/checkpoints: GGUF files"; return; }
    quantized=$shared/checkpoints/gguf-llama-tiny/llama-tiny-Q4_0.gguf
    refuses 1 "quantized already" "quantize a quantized GGUF file" quantize $quantized -o "$out" --method rtn
    succeeds "generate from a GGUF file" generate $quantized --prompt "The river" --tokens 8
    [ -z "$RUN" ] || return
    for known in tiny-Q4_0=28.1408 tiny-Q4_1=27.9294 tiny-Q8_0=27.7534 5m-Q4_K_M=50.4733; do
        perplexity "$(echo "$shared"/checkpoints/gguf-llama-*/llama-"${known%=*}".gguf)" $text --window 256 --activations own
        equal "perplexity of $model" "$(printf %.4f "$perplexity")" "${known#*=}"
    done
}

# gguf_file NAME ARGUMENTS: what quantize makes is what it makes with one thread, and its perplexity is the same when
# it has been converted to the ptq format and back.
gguf_file()
{
    name=$1
    shift
    for variant in "" "--threads 1 --isa portable"; do
        rm -f "$tmp/one.gguf"
        succeeds "quantize $* $variant" quantize "$@" -o "$tmp/one.gguf" --format gguf --gguf-type $name $variant
        [ -n "$variant" ] || made=$(sha256 "$tmp/one.gguf")
    done
    equal "$name with other threads and instructions" "$(sha256 "$tmp/one.gguf")" "$made"
    rm -rf "$tmp/own" "$tmp/two.gguf"
    succeeds "convert $name to ptq" convert "$tmp/one.gguf" -o "$tmp/own" --format ptq
    succeeds "convert $name back" convert "$tmp/own" -o "$tmp/two.gguf" --format gguf
    [ -z "$python" ] || equal "$name after a round trip" "$($python test/same_gguf.py "$tmp/one.gguf" "$tmp/two.gguf" 2>&1)" ""
    succeeds "diff of $name" diff "$tmp/one.gguf" "$tmp/own" --json
    equal "diff: matrices of $name" "$(json_number equal)" "$(json_number count)"
}

# Files that quantize and convert write.
# odd_gguf PATTERN FILE: with $tmp/part as that file of the model, quantizing to GGUF is refused before any work.
odd_gguf()
{
    pattern=$1 file=$2
    rm -rf "$tmp/odd"
    cp -r $tiny "$tmp/odd"
    chmod -R u+w "$tmp/odd"
    cp "$tmp/part" "$tmp/odd/$file"
    refuses 1 "$pattern" "$file: $pattern" quantize "$tmp/odd" -o "$out.gguf" --format gguf --method rtn
    [ ! -e "$out.gguf.partial" ] || fail "$file: leaves its partial directory"
}

# Files that would become a GGUF file that no reader understands.
test_odd_gguf_files()
{
    printf '{"top_k": 1e300}' >"$tmp/part"
    odd_gguf "GGUF cannot hold general.sampling.top_k" generation_config.json
    printf '{"top_k": 5.5}' >"$tmp/part"
    odd_gguf "GGUF cannot hold general.sampling.top_k" generation_config.json
    printf '{"top_p": 1e300}' >"$tmp/part"
    odd_gguf "GGUF cannot hold general.sampling.top_p" generation_config.json
    printf '{' >"$tmp/part"
    odd_gguf "odd: generation_config.json" generation_config.json
    printf 'a\377' >"$tmp/part"
    odd_gguf "chat_template: it is not UTF-8" chat_template.jinja
    printf 'a\0b' >"$tmp/part"
    odd_gguf "template has a zero byte" chat_template.jinja
    sed 's/"rope_theta": *[0-9.]*/"rope_theta": 1e300/' $tiny/config.json >"$tmp/part"
    odd_gguf "cannot hold rope.freq" config.json
    sed 's/"<s>"/"<s>\\u0000x"/' $tiny/tokenizer.json >"$tmp/part"
    odd_gguf "has a zero byte" tokenizer.json
    for change in 's/"merges": *\[/&["a", "b", "c"], /' 's/"merges": *\[/&"ab", /' 's/"merges": *\[/&"a b c", /'; do
        sed "$change" $tiny/tokenizer.json >"$tmp/part"
        odd_gguf "odd: a merge of tokenizer.json is not a pair" tokenizer.json
    done
    sed 's/"merges": *\[/&["a", "b"], ["ab", "\\u0001"], /' $tiny/tokenizer.json >"$tmp/part"
    odd_gguf 'a merge of tokenizer.json has or makes "ab.*", which is no token' tokenizer.json
    sed 's/"vocab": *{/"vocab": [], "other": {/' $tiny/tokenizer.json >"$tmp/part"
    odd_gguf '"vocab" is not an object' tokenizer.json
    sed 's/"merges"/"merges": 1, "other"/' $tiny/tokenizer.json >"$tmp/part"
    odd_gguf '"merges" is not a list' tokenizer.json
    printf 'GGUF\003\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$tmp/part"
    odd_gguf "of the architecture" metadata.gguf
    rm -rf "$tmp/odd" "$tmp/odd.gguf"
    cp -r $tiny "$tmp/odd"
    chmod -R u+w "$tmp/odd"
    cp "$tmp/plain.gguf" "$tmp/odd/metadata.gguf"
    succeeds "with the metadata of the model" convert "$tmp/odd" -o "$tmp/odd.gguf" --format gguf
    edit "$tmp/odd/config.json" 's/"num_hidden_layers": 4/"num_hidden_layers": 3/'
    refuses 1 "another block_count" "metadata of another model" convert "$tmp/odd" -o "$out.gguf" --format gguf
    rm "$tmp/odd/metadata.gguf"
    edit "$tmp/odd/config.json" 's/"num_hidden_layers": 3/"num_hidden_layers": 4/'
    odd=$tmp/$(printf 'odd\377')
    rm -rf "$odd" "$tmp/odd.gguf"
    cp -r $tiny "$odd" || { skip "names that are not UTF-8"; return; }
    succeeds "a directory whose name is not UTF-8" convert "$odd" -o "$tmp/odd.gguf" --format gguf
    succeeds "which can be read" inspect "$tmp/odd.gguf"
    rm -f "$tmp/odd.gguf"
    succeeds "a directory that is called ." convert "$tmp/odd/../odd/." -o "$tmp/odd.gguf" --format gguf
    succeeds "which has no name" inspect "$tmp/odd.gguf" --json
    grep -q '"general.type"' "$tmp/out" && ! grep -q '"general.name"' "$tmp/out"
    equal "of a directory that is called ." $? 0
    rm -rf "$odd" "$tmp/odd" "$tmp/odd.gguf"
}

# Matrices whose rows no block divides stay in F16, and the others do not: 3 of qwen3's, none of gpt2's.
test_gguf_fallback()
{
    set -- --method auto --calib random --samples 8 --seqlen 24 --gguf-type Q4_0
    for model in qwen3-moe:72 gpt2:12; do
        wanted=${model#*:} model=${model%:*}
        rm -rf "$tmp/odd" "$tmp/odd.gguf"
        cp -r "$BUILD/scratch/architectures/$model" "$tmp/odd"
        printf '{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, "pre_tokenizer": %s}' \
            '{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}' >"$tmp/odd/tokenizer.json"
        (ulimit -f 100 && $RUN "$BUILD/ptq" quantize "$tmp/odd" -o "$tmp/odd.gguf" "$@" >"$tmp/log" 2>&1)
        [ -d "$tmp/odd.gguf.partial" ] || [ $model = qwen3-moe ] || fail "$model: leaves nothing to resume"
        succeeds "$model to GGUF" quantize "$tmp/odd" -o "$tmp/odd.gguf" --resume "$@"
        [ "$(grep -c "^$wanted more matrices are kept in F16" "$tmp/out")" = 1 ] || fail "$model: $(cat "$tmp/out")"
        ok=$(sha256 "$tmp/odd.gguf")
        rm "$tmp/odd.gguf"
        succeeds "$model to GGUF at once" quantize "$tmp/odd" -o "$tmp/odd.gguf" --json "$@"
        equal "matrices of $model in F16" "$(grep -o '"kept": "f16"' "$tmp/out" | wc -l | tr -d ' ')" "$wanted"
        equal "the same file of $model" "$(sha256 "$tmp/odd.gguf")" "$ok"
        succeeds "it can be read" diff "$tmp/odd" "$tmp/odd.gguf" --json
    done
    rm -rf "$tmp/odd" "$tmp/odd.gguf"
}

test_gguf_files()
{
    echo "gguf files"
    find_python json || skip "no python3: GGUF files compared key by key"
    gguf_file Q4_1 $tiny --method rtn --head-bits 8
    if [ -z "$RUN" ]; then
        gguf_file Q5_0 $tiny --method gptq --round gptq+ $small --head-bits 5
        gguf_file Q4_0 $tiny --method auto $small
    fi
    rm -rf "$tmp/plain.gguf" "$tmp/own"
    succeeds "convert a plain model" convert $tiny -o "$tmp/plain.gguf"
    perplexity $tiny $text --window 256 --max-windows 4
    wanted=$perplexity
    perplexity "$tmp/plain.gguf" $text --window 256 --max-windows 4
    equal "perplexity of a plain model" "$perplexity" "$wanted"
    succeeds "quantize from GGUF" quantize "$tmp/plain.gguf" -o "$tmp/one.gguf.2.gguf" --format gguf --gguf-type Q4_0 \
        --method rtn
    [ -d "$tmp/experts" ] && succeeds "convert experts" convert "$tmp/experts" -o "$tmp/experts.gguf" --format gguf
    test_odd_gguf_files
    [ ! -d "$BUILD/scratch/architectures/gpt2" ] || test_gguf_fallback
    refuses 1 "the head is quantized already" "head-bits of a quantized head" \
        convert "$tmp/one.gguf" -o "$out.gguf" --format gguf --head-bits 8
    refuses 1 "one.gguf: quantized already" "a quantized embedding" \
        quantize "$tmp/one.gguf" -o "$out" --format compressed-tensors --method rtn
    for format in gptq awq compressed-tensors; do
        for scales in minima super; do
            refuses 1 "cannot hold what --scales asks for" "$scales scales in $format" \
                quantize $tiny -o "$out" --format $format --method rtn --sym --scales $scales --group 32
        done
    done
    set -- quantize $tiny -o "$out.gguf" --format gguf
    refuses 2 "needs --format" "converting to no format" convert $tiny -o "$out"
    refuses 2 "must end in .gguf" "a GGUF file with another name" quantize $tiny -o "$out" --format gguf --method rtn
    refuses 2 "shard-size is not for" "shards of a GGUF file" "$@" --method rtn --shard-size 1M
    refuses 2 "gguf-type must be" "an unknown type" "$@" --method rtn --gguf-type Q3_K
    refuses 2 "gguf-type is for" "a type of another format" quantize $tiny -o "$out" --method rtn --gguf-type Q4_0
    refuses 2 "head-bits must be" "a head of 7 bits" "$@" --method rtn --head-bits 7
    refuses 2 "head-bits is for" "a head of another format" quantize $tiny -o "$out" --method rtn --head-bits 8
    refuses 1 "cannot hold what --bits asks for" "3 bits in Q4_0" "$@" --method rtn --gguf-type Q4_0 --bits 3
    refuses 1 "cannot hold what --rotate asks for" "rotations" "$@" --method gptq $small --rotate 64
    refuses 1 "cannot hold what --activations asks for" "int8" "$@" --method rtn --activations int8-token
    refuses 1 "act-order" "act-order" "$@" --method gptq $small --act-order
    [ -d ../shared/checkpoints ] && [ -n "$python" ] || { skip "no GGUF files in ../shared/checkpoints"; return; }
    for source in ../shared/checkpoints/gguf-*/*.gguf; do
        rm -rf "$tmp/own" "$tmp/one.gguf" "$tmp/two.gguf"
        succeeds "convert $source" convert "$source" -o "$tmp/own" --format ptq
        succeeds "convert it back" convert "$tmp/own" -o "$tmp/one.gguf" --format gguf
        succeeds "convert it directly" convert "$source" -o "$tmp/two.gguf" --format gguf
        equal "$source after a round trip" "$($python test/same_gguf.py "$source" "$tmp/one.gguf" 2>&1)" ""
        equal "$source directly" "$($python test/same_gguf.py "$source" "$tmp/two.gguf" 2>&1)" ""
    done
    [ -z "$RUN" ] || return
    gguf_file Q4_K ../shared/models/llama-5m --method rtn
}

# A mixture of experts with the tokenizer of the small model: whatever reads a text.
test_experts()
{
    echo "experts"
    made=$BUILD/scratch/architectures
    rm -rf "$tmp/experts"
    mkdir "$tmp/experts"
    cp "$made/qwen3-moe/config.json" "$made/qwen3-moe/model.safetensors" $tiny/tokenizer.json "$tmp/experts"
    set -- $text --window 64 --max-windows 2
    perplexity "$tmp/experts" "$@"
    whole=$perplexity
    for variant in "--threads 1" "--isa portable"; do
        perplexity "$tmp/experts" "$@" $variant
        equal "perplexity with $variant" "$perplexity" "$whole"
    done
    for settings in "--method rtn" "--method awq --fold on" "--method gptq --gptaq 0.25" "--method auto --fold on"; do
        rm -rf "$tmp/one"
        succeeds "$settings" quantize "$tmp/experts" -o "$tmp/one" $settings --bits 8 --group 32 --activations f32 \
            --calib $calib --samples 4 --seqlen 32
        perplexity "$tmp/one" "$@"
        holds "perplexity of $settings in 8 bits" "$perplexity / $whole > 0.99 && $perplexity / $whole < 1.01"
        once=$(sha256 "$tmp/one/model.safetensors")
        for variant in "--threads 1" "--isa portable"; do
            rm -rf "$tmp/other"
            succeeds "$settings $variant" quantize "$tmp/experts" -o "$tmp/other" $settings --bits 8 --group 32 \
                --activations f32 --calib $calib --samples 4 --seqlen 32 $variant
            equal "$settings $variant" "$(sha256 "$tmp/other/model.safetensors")" "$once"
        done
    done
    succeeds "inspect" inspect "$tmp/one"
    grep -q "^model.layers.2.mlp.experts.\*.up_proj  *7 x W8A32 .40, 48. .*weight error .* \.\. " "$tmp/out"
    equal "inspect joins experts" $? 0
    succeeds "compare" compare "$tmp/experts" --calib $calib --samples 4 --seqlen 32 --text "$@" --methods gptq,auto \
        --group 32 --html "$tmp/experts.html" --json
    json "compare --json of experts" rows.2.worst_matrix inputs.11.absmax
    grep -q "layer 2 mlp.experts..\.up_proj" "$tmp/experts.html"
    equal "the page shows an expert" $? 0
    succeeds "generate" generate "$tmp/one" --prompt "The city of" --tokens 8
    once=$(cat "$tmp/out")
    succeeds "generate" generate "$tmp/one" --prompt "The city of" --tokens 8 --isa portable --threads 1
    equal "generate, portable" "$(cat "$tmp/out")" "$once"
    few_tokens
    hostile_experts
}

# Four tokens reach hardly any of the seven experts.
few_tokens()
{
    rm -rf "$tmp/one"
    set -- quantize "$tmp/experts" -o "$tmp/one" --method gptq --bits 4 --group 32 --calib random
    succeeds "few tokens" "$@" --samples 1 --seqlen 4 --json
    holds "tokens of the experts of a block" "$(grep -o '"tokens": [0-9]*' "$tmp/out" | head -n 21 |
        awk '{ sum += $2 } END { print sum / 3 }') == 12"
    equal "every expert has those that there are" \
        "$(grep -o 'tokens": [0-9]*' "$tmp/out" | awk '{ sum += $2 } END { print sum }')" $((63 * 4))
    rm -rf "$tmp/one"
    succeeds "few tokens" "$@" --samples 1 --seqlen 4
    grep -q "of 63 matrices of experts were calibrated on other tokens too" "$tmp/out"
    equal "it says so" $? 0
    rm -rf "$tmp/one"
    succeeds "more tokens" "$@" --samples 8 --seqlen 24 --json
    equal "none added" "$(grep -o '"added_tokens": [0-9]*' "$tmp/out" | sort -u)" '"added_tokens": 0'
}

hostile_experts()
{
    for edit in 'num_local_experts.*:num_local_experts": 0,:num_local_experts.*range' \
        'num_local_experts.*:num_local_experts": 8,:no tensor.*experts.7.up_proj' \
        'num_local_experts.*:num_local_experts": 6,:experts.6.*not use' \
        'num_experts_per_tok.*:num_experts_per_tok": 8,:num_experts_per_tok.*exceeds' \
        'mlp_only_layers.*:mlp_only_layers": ["0"],:mlp_only_layers.*integer' \
        'mlp_only_layers.*:mlp_only_layers": [1],:layers.1.mlp.*not use' \
        'decoder_sparse_step.*:decoder_sparse_step": 0,:decoder_sparse_step.*range' \
        'model_type.*:model_type": "qwen3",:num_local_experts.*not supported'; do
        rm -rf "$tmp/changed"
        cp -r "$tmp/experts" "$tmp/changed"
        replaced=${edit%:*}
        edit "$tmp/changed/config.json" "s/\"${replaced%%:*}/\"${replaced#*:}/"
        refuses 1 "${edit##*:}" "$replaced" quantize "$tmp/changed" -o "$out" --method rtn
    done
    rm -rf "$tmp/changed"
    cp -r "$tmp/experts" "$tmp/changed"
    edit "$tmp/changed/model.safetensors" 's/mlp.experts.0.gate_proj.weight"/mlp.experts.gate_up_proj"      /'
    refuses 1 "mlp.experts.gate_up_proj is a tensor of a block that .* not use" "a tensor of all experts" \
        quantize "$tmp/changed" -o "$out" --method rtn
}

# Random tokens instead of a text, reproducible by seed; GPTAQ; resuming a GPTAQ run.
test_variants()
{
    echo "calibration without data, gptaq"
    set -- --bits 3 --group 64 --samples 4 --seqlen 64
    quantize one --method gptq "$@" --calib random
    quantize other --method gptq "$@" --calib random --seed 0
    equal "seed 0 is the default" "$(sha256 "$tmp/one/model.safetensors")" \
        "$(sha256 "$tmp/other/model.safetensors")"
    quantize other --method gptq "$@" --calib random --seed 1
    [ "$(sha256 "$tmp/one/model.safetensors")" != "$(sha256 "$tmp/other/model.safetensors")" ]
    equal "another seed is another model" $? 0
    quantize one --method gptq "$@" --calib $calib --gptaq 0.25
    for settings in "--threads 1" "--isa portable"; do
        quantize other --method gptq "$@" --calib $calib --gptaq 0.25 $settings
        equal "gptaq with $settings" "$(sha256 "$tmp/one/model.safetensors")" \
            "$(sha256 "$tmp/other/model.safetensors")"
    done
    for settings in "--method auto" "--method auto --activations f32 --token-weights attention" \
        "--method gptq --round gptq+ --rotate 64 --token-weights attention-heads --scales two-level --activations int8-token"; do
        quantize one "$@" --calib $calib $settings
        perplexity "$tmp/one" $text --window 64 --max-windows 2
        whole=$perplexity
        for variant in "--threads 1" "--isa portable"; do
            quantize other "$@" --calib $calib $settings $variant
            equal "$settings with $variant" "$(sha256 "$tmp/one/model.safetensors")" \
                "$(sha256 "$tmp/other/model.safetensors")"
            perplexity "$tmp/one" $text --window 64 --max-windows 2 $variant
            equal "perplexity of $settings with $variant" "$perplexity" "$whole"
        done
    done
    ptq quantize $tiny -o "$tmp/chosen" "$@" --method auto --calib $calib
    grep -q "^chosen: .*zero points" "$tmp/out"
    equal "auto says what it chose" $? 0
    refuses 2 "rotate" "rotation of 48 columns" quantize $tiny -o "$out" --method rtn --rotate 48
    refuses 2 "two-level" "two-level scales of 8 bits" \
        quantize $tiny -o "$out" --method rtn --bits 8 --scales two-level
    refuses 2 "token-weights" "unknown token weights" \
        quantize $tiny -o "$out" --method gptq "$@" --calib $calib --token-weights magic
    refuses 2 "calib" "auto without --calib" quantize $tiny -o "$out" --method auto
    refuses 2 "gptaq" "gptaq without gptq" quantize $tiny -o "$out" --method rtn --gptaq 0.25
    refuses 2 "gptaq" "too much gptaq" quantize $tiny -o "$out" --method gptq "$@" --calib $calib --gptaq 2
    refuses 2 "seed" "a seed that is no number" quantize $tiny -o "$out" --method gptq "$@" --calib random --seed x
}

test_recorded
test_threads
test_variants
test_json
test_standard_files
test_inspect
test_tokenize
test_chat
test_json_lines
test_resume
test_two_runs
test_somebody_elses
test_bad_weights
test_bad_config
test_bad_use
test_layer
test_bench
test_choices
test_lengths
test_golden
test_architectures
test_gguf
test_experts
test_gguf_files
test_generate
if [ -n "$RUN" ]; then
    skip "perplexity of whole texts: too slow under emulation"
else
    test_perplexity
    test_folding
    test_fptq
    test_formats
    test_compare
    test_compare_resumed
    test_bloom
    test_shared
fi
[ $failed -ne 0 ] || rm -rf "$tmp"
summary
