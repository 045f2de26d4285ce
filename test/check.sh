# Shared by the test scripts: counting, and running the command. Read with `. test/check.sh`.
# BUILD is the directory of the programs, RUN a prefix for running them ("qemu-aarch64 -L ..."). LONG
# enables the long tests.

BUILD=${BUILD:-build}
RUN=${RUN-}
LONG=${LONG-}
passed=0 failed=0 skipped=0

pass()
{
    passed=$((passed + 1))
}

# fail WHAT [LINE...]
fail()
{
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1"
    shift
    for line; do
        printf '    %s\n' "$line"
    done
}

skip()
{
    skipped=$((skipped + 1))
    printf '    SKIPPED: %s\n' "$1"
}

# The last line of every test script; its status is that of the script.
summary()
{
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

# Runs ptq; its output goes to $tmp/out and $tmp/err, its exit status to $status.
ptq()
{
    $RUN "$BUILD/ptq" "$@" >"$tmp/out" 2>"$tmp/err"
    status=$?
}

# The same, but counts as a failed test if it does not succeed; WHAT is the name of the test.
succeeds() # WHAT ARGUMENT...
{
    what=$1
    shift
    ptq "$@"
    if [ $status -eq 0 ]; then
        pass
        return 0
    fi
    fail "$what: exit status $status of ptq $*" "$(head -n 5 "$tmp/err")"
    return 1
}

equal() # WHAT GOT WANTED
{
    if [ "x$2" = "x$3" ]; then
        pass
    else
        fail "$1: $2, not $3"
    fi
}

# holds WHAT EXPRESSION: awk decides, as in holds "gptq is better" "28.1 < 28.2".
holds()
{
    if awk "BEGIN { exit !($2) }" </dev/null; then
        pass
    else
        fail "$1: $2 does not hold"
    fi
}

# The number behind a key of the JSON in $tmp/out; nan where there is none.
json_number()
{
    number=$(sed -n "s/.*\"$1\": *\\(-*[0-9][0-9.eE+-]*\\).*/\\1/p" "$tmp/out" | head -n 1)
    echo "${number:-nan}"
}

# perplexity MODEL TEXT OPTION...: the number, or nothing and a failed test. In $perplexity.
perplexity()
{
    perplexity=nan
    model=$1 text=$2
    shift 2
    if succeeds "perplexity of $model" eval "$model" --text "$text" --json "$@"; then
        perplexity=$(json_number perplexity)
    fi
}

# A Python that has the modules that are named.
find_python()
{
    for python in python3 /usr/bin/python3 /usr/local/bin/python3; do
        all=$(echo "$*" | tr ' ' ',')
        if $python -c "import $all" >/dev/null 2>&1; then
            return 0
        fi
    done
    python=
    return 1
}

sha256()
{
    if command -v sha256sum >/dev/null; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        shasum -a 256 <"$1" | cut -d ' ' -f 1
    fi
}
