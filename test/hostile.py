#!/usr/bin/env python3
"""Hostile calls of every public function, generated from the headers.

    hostile.py OUT.c      writes a program; run with a directory to write to, it makes the calls

Each function is called first with valid arguments, and then with one invalid argument at a time: NULL for
a pointer, an array of handles that contains NULL, and numbers that are zero, negative or huge. Finally,
all arguments are NULL and 0. No call may crash; NULL must be handled as ptq/ptq.h says, and an invalid
number must not return PTQ_OK.

A new function is covered as soon as it is declared. If it has a parameter whose type and name no function
had before, this script does not know a valid value and ends with a message; add a line to VALID below.
"""

import re
import sys

# All that ptq/ptq.h brings in.
HEADERS = re.findall(r'^#include "(\w+)\.h"', open("include/ptq/ptq.h", encoding="utf-8").read(), re.M)

# Valid values: by function and parameter where it matters, else by type and name, else by type.
VALID = {
    ("ptq_config_parse", "name"): '"group"',
    ("ptq_config_parse", "text"): '"64"',
    ("ptq_method_from_name", "name"): '"gptq"',
    ("ptq_config_set_float", "parameter"): "PTQ_PARAM_DAMPING",
    ("ptq_config_get_float", "parameter"): "PTQ_PARAM_DAMPING",
    ("ptq_config_choice_name", "value"): "0",
    ("ptq_store_tensor", "name"): '"q.codes"',
    ("ptq_store_has", "name"): '"q.codes"',
    ("ptq_store_copy", "name"): '"q.codes"',
    ("ptq_store_find", "name"): '"q.codes"',
    ("ptq_store_set_quantization", "json"): '"{}"',
    ("ptq_store_open_memory", "data"): "w.file",
    ("ptq_store_open_memory", "bytes"): "w.file_bytes",
    ("ptq_store_create", "path"): "w.out_path",
    ("ptq_stats_save", "path"): "w.out_path",
    ("ptq_stats_load", "path"): "w.stats_path",
    ("ptq_qtensor_create", "k"): "K",
    ("ptq_linear_create_in", "memory"): "w.memory",
    ("ptq_linear_open", "memory"): "w.packed",
    ("ptq_call_set_prepared", "memory"): "w.prepared",
    ("ptq_call_set_prepared", "bytes"): "(int64_t)sizeof w.prepared",
    ("ptq_config_parameter", "index"): "0",
    ("ptq_qtensor_set_minima", "q"): "w.with_minima",
    ("ptq_qtensor_minima", "q"): "w.with_minima",
    ("ptq_qtensor_set_levels", "q"): "w.with_levels",
    ("ptq_qtensor_levels", "q"): "w.with_levels",
    ("ptq_qtensor_set_super_scales", "q"): "w.with_super",
    ("ptq_qtensor_super_scales", "q"): "w.with_super",
    ("ptq_qtensor_super_scales", "scales"): "w.floats",
    ("ptq_qtensor_super_scales", "minima"): "w.floats + SIZE / 2",
    ("ptq_store_set_typed_metadata", "type"): '"str"',
    ("ptq_store_set_quantization", "json"): '"{}"',
    "ptq_context *": "w.context",
    "const ptq_context *": "w.context",
    "ptq_context **": "&w.results.context",
    "ptq_tensor *": "w.tensor",
    "const ptq_tensor *": "w.tensor",
    "ptq_tensor **": "&w.results.tensor",
    "const ptq_tensor *const *": "w.weights",
    "ptq_stats *": "w.stats",
    "const ptq_stats *": "w.stats",
    ("const ptq_stats *", "other"): "w.other",
    "ptq_stats **": "&w.results.stats",
    "const ptq_stats *const *": "w.own_stats",
    "ptq_config *": "w.config",
    "const ptq_config *": "w.config",
    "ptq_config **": "&w.results.config",
    "ptq_store *": "w.writing",
    "const ptq_store *": "w.reading",
    "ptq_store **": "&w.results.store",
    ("ptq_qtensor_rows", "out"): "&w.results.q[0]",
    ("ptq_qtensor_columns", "out"): "&w.results.q[0]",
    ("ptq_qtensor_dequantize_row", "n"): "1",
    ("ptq_qtensor_rows", "count"): "2",
    ("ptq_qtensor_columns", "count"): "32",
    ("int64_t", "first"): "0",
    "ptq_qtensor *": "w.q",
    "const ptq_qtensor *": "w.q",
    "ptq_qtensor **": "w.results.q",
    "const ptq_qtensor *const *": "w.parts",
    "ptq_equalization *": "w.equalization",
    "const ptq_equalization *": "w.equalization",
    "ptq_equalization **": "&w.results.equalization",
    "ptq_linear *": "w.linear",
    "const ptq_linear *": "w.linear",
    "ptq_linear **": "&w.results.linear",
    "const ptq_linear *const *": "w.linears",
    "ptq_layout *": "w.layout",
    "const ptq_layout *": "w.layout",
    "ptq_layout **": "&w.results.layout",
    ("ptq_layout_set", "parameter"): "PTQ_LAYOUT_ORDER",
    ("ptq_layout_set", "value"): "1",
    ("ptq_layout_get", "parameter"): "PTQ_LAYOUT_ORDER",
    ("ptq_linear_create_with", "memory"): "w.memory",
    ("ptq_linear_begin", "memory"): "w.memory",
    ("ptq_linear_pack_rows", "linear"): "w.begun",
    ("ptq_linear_finish", "linear"): "w.packed_all",
    ("int64_t", "from"): "0",
    "ptq_encoding *": "w.encoding",
    "const ptq_encoding *": "w.encoding",
    "ptq_encoding **": "&w.results.encoding",
    ("ptq_encoding_create", "axis"): "PTQ_ALONG_K",
    ("ptq_encoding_create", "count"): "8",
    ("ptq_encoding_create", "values"): "PTQ_VALUES_UNSIGNED",
    ("const int32_t *", "shifts"): "w.numbers",
    ("ptq_qtensor_set_strided_minima", "q"): "w.with_minima",
    ("int64_t", "stride_n"): "32",
    ("int64_t", "stride_k"): "4",
    ("int64_t", "stride_g"): "4",
    ("int32_t *", "value"): "w.numbers",
    "ptq_call *": "w.call",
    "const ptq_call *": "w.call",
    "ptq_call **": "&w.results.call",
    "ptq_allocate_function": "allocate",
    "ptq_release_function": "release",
    "ptq_log_function": "hear",
    "ptq_progress_function": "progress",
    "ptq_parallel_function": "in_turn",
    ("void *", "user"): "&w",
    ("const void *", "data"): "w.floats",
    ("const void *", "x"): "w.x",
    ("const void *", "reference"): "w.x",
    ("void *", "y"): "w.floats",
    ("void *", "scratch"): "w.memory",
    ("char *", "buffer"): "w.text",
    ("const char *", "name"): '"name"',
    ("const char *", "key"): '"q"',
    ("const char *", "value"): '"value"',
    ("const char *", "prefix"): '"q"',
    ("const char *", "path"): "w.path",
    "const float *": "w.ones",
    "const uint8_t *": "w.codes",
    "const int8_t *": "w.levels",
    ("int8_t *", "out"): "(int8_t *)w.memory",
    ("const int32_t *", "order"): "w.numbers",
    ("const int32_t *", "ties"): "w.numbers",
    ("const int32_t *", "group_index"): "w.group_index",
    ("const int64_t *", "shape"): "w.shape",
    ("const int64_t *", "rows"): "w.rows",
    ("float *", "out"): "w.floats",
    ("float *", "bias"): "w.floats",
    ("uint8_t *", "out"): "w.memory",
    ("int32_t *", "out"): "(int32_t *)(void *)w.memory",
    ("int64_t *", "value"): "&w.integer",
    ("double *", "value"): "&w.number",
    ("double *", "lowest"): "&w.number",
    ("double *", "highest"): "&w.number",
    ("double", "value"): "0.05",
    ("double", "total_weight"): "4",
    ("float", "scale"): "1.0f",
    ("int64_t", "capacity"): "(int64_t)sizeof w.text",
    ("int64_t", "k"): "K",
    ("int64_t", "n"): "N",
    ("int64_t", "group"): "32",
    ("int64_t", "value"): "64",
    ("int64_t", "count"): "2",
    ("int64_t", "index"): "0",
    ("int64_t", "result"): "0",
    ("const int32_t *", "rows"): "w.numbers",
    ("int32_t", "add"): "1",
    ("int32_t", "epilogue"): "PTQ_EPILOGUE_NONE",
    ("int64_t", "rows"): "ROWS",
    ("int64_t", "columns"): "K",
    ("int64_t", "ld"): "K",
    ("int64_t", "ldx"): "K",
    ("int64_t", "ldreference"): "K",
    ("int64_t", "ldy"): "N",
    ("int64_t", "bytes"): "(int64_t)sizeof w.memory",
    ("int64_t", "part"): "0",
    ("int64_t", "parts"): "2",
    ("int32_t", "method"): "PTQ_METHOD_RTN",
    ("int32_t", "parameter"): "PTQ_PARAM_GROUP",
    ("int32_t", "threads"): "1",
    ("int32_t", "isa"): "PTQ_ISA_PORTABLE",
    ("int32_t", "dtype"): "PTQ_DTYPE_F32",
    ("int32_t", "x_dtype"): "PTQ_DTYPE_F32",
    ("int32_t", "y_dtype"): "PTQ_DTYPE_F32",
    ("int32_t", "rank"): "2",
    ("int32_t", "axis"): "0",
    ("int32_t", "flags"): "PTQ_STATS_HESSIAN",
    ("int32_t", "bits"): "4",
    ("int32_t", "rotation"): "32",
    ("int32_t", "activations"): "PTQ_ACTIVATIONS_F32",
    ("int32_t", "zero"): "128",
    ("int32_t", "index"): "0",
    ("int32_t", "format"): "PTQ_FORMAT_PTQ",
    ("ptq_status", "status"): "PTQ_OK",
}

# Pointers that may be NULL where the header says so; the call succeeds. "": of every function.
OPTIONAL = {
    "": {"user", "scratch", "row_weights", "reference", "ties", "own_stats", "buffer"},
    "ptq_context_set_log": {"log"},
    "ptq_context_set_progress": {"progress"},
    "ptq_context_set_parallel_for": {"parallel_for"},
    "ptq_context_last_message": {"context"},
    "ptq_equalize": {"stats"},
    "ptq_quantize": {"stats"},
    "ptq_quantize_equalized": {"stats"},
    "ptq_qtensor_stack": {"rows"},
    "ptq_call_set_prepared": {"memory"},
    "ptq_linear_create_with": {"memory"},
    "ptq_linear_begin": {"memory"},
    "ptq_encoding_create": {"shifts"},
    "ptq_linear_set_bias": {"bias"},
    "ptq_call_set_bias": {"bias"},
    "ptq_stats_set_ranges": {"min"},
}

# Numbers that look hostile, but with which a call may succeed.
HUGE = ["2^31", "2^61", "2^62", "INT64_MAX"]
ALLOWED = {
    "": {"rows": ["0"], "result": ["0"], "index": ["0"], "first": ["0"]},  # nothing to do, the first one
    "ptq_context_set_threads": {"threads": ["0"]},  # one for each CPU
    "ptq_context_set_isa": {"isa": ["-1"]},  # PTQ_AUTO
    "ptq_tensor_create": {"rank": ["0"]},  # one element
    "ptq_tensor_borrow": {"rank": ["0"]},
    "ptq_stats_create": {"flags": ["0"]},  # PTQ_STATS_RANGES
    "ptq_config_set_int": {"value": ["0"]},  # one group a row
    "ptq_config_set_float": {"value": ["0"]},  # no damping
    "ptq_qtensor_create": {"group": ["0"], "n": ["2^31"]},  # large, but it can be
    "ptq_qtensor_set_rotation": {"rotation": ["0"]},  # none
    "ptq_qtensor_set_activations": {"activations": ["0"]},  # PTQ_ACTIVATIONS_F32
    "ptq_qtensor_set_activation_zero": {"zero": ["0"]},  # the default
    "ptq_linear_create_in": {"bytes": HUGE},  # the caller's word
    "ptq_linear_open": {"bytes": HUGE},
    "ptq_call_run": {"bytes": HUGE},
    "ptq_layout_set": {"value": ["0"]},
    "ptq_layout_create": {"group": ["0"], "n": ["2^31"]},
    "ptq_linear_create_with": {"bytes": HUGE},
    "ptq_qtensor_dequantize_row": {"n": ["0"]},
    "ptq_linear_begin": {"bytes": HUGE},
    "ptq_linear_pack_rows": {"from": ["0"]},
    "ptq_encoding_create": {"values": ["0"]},
    "ptq_qtensor_borrow_codes": {"bytes": HUGE, "stride_n": ["0"], "stride_k": ["0"]},
    "ptq_qtensor_set_encoded_zeros": {"bytes": HUGE, "stride_n": ["0"], "stride_g": ["0", *HUGE]},  # one block
    "ptq_qtensor_set_strided_scales": {"bytes": HUGE, "stride_n": ["0"], "stride_g": ["0"]},
    "ptq_qtensor_set_strided_minima": {"bytes": HUGE, "stride_n": ["0"], "stride_g": ["0"]},
    "ptq_call_run_part": {"part": ["0"], "parts": HUGE, "bytes": HUGE},  # most parts are empty
    "ptq_call_prepare_part": {"part": ["0"], "parts": HUGE, "bytes": HUGE},
    "ptq_call_set_prepared": {"bytes": HUGE},
    "ptq_call_set_rows": {"count": ["0", *HUGE]},  # a list is looked at when it is used
    "ptq_call_set_add": {"add": ["0"]},
    "ptq_call_set_epilogue": {"epilogue": ["0"]},
    "ptq_tensor_borrow_rows": {"columns": ["0"]},
    "ptq_stats_update_part": {"part": ["0"]},
    "ptq_stats_update_paired_part": {"part": ["0"]},
}

# Calls that are left out: memory of such a size can be, so that what the caller says of his is believed,
# and the library would read or write it.
CLAIMED = {"rows": ["2^31"], "ld": ["2^31"], "ldx": ["2^31"], "ldreference": ["2^31"], "ldy": ["2^31"]}

# Functions that return a size: 0 where it cannot be.
SIZES = {
    "ptq_call_prepared_bytes",
    "ptq_call_scratch_bytes",
    "ptq_call_part_scratch_bytes",
}

NUMBERS = {
    "int64_t": {
        "0": "0",
        "-1": "-1",
        "INT64_MIN": "INT64_MIN",
        "2^31": "(int64_t)1 << 31",
        "2^61": "(int64_t)1 << 61",
        "2^62": "(int64_t)1 << 62",
        "INT64_MAX": "INT64_MAX",
    },
    "int32_t": {
        "0": "0",
        "-1": "-1",
        "INT32_MIN": "INT32_MIN",
        "2^30": "1 << 30",
        "INT32_MAX": "INT32_MAX",
    },
    "double": {"0": "0", "-1": "-1", "NaN": "NAN", "inf": "INFINITY", "-inf": "-INFINITY"},
}
NUMBERS["ptq_status"] = NUMBERS["int32_t"]
NUMBERS["float"] = NUMBERS["double"]


class Parameter:
    def __init__(self, function, text):
        match = re.match(r"^(.*?)\s*(\w+)$", text)
        self.function, self.name = function, match.group(2)
        self.type = re.sub(r"\s*\*\s*", " *", match.group(1)).replace("* *", "**")
        self.type = self.type.replace("*const *", "*const *").strip()
        self.is_pointer = "*" in self.type or self.type.endswith("_function")
        self.is_result = re.match(r"^ptq_\w+ \*\*$", self.type) is not None
        self.is_array = re.match(r"^const ptq_\w+ \*const \*$", self.type) is not None
        if not self.is_pointer and self.type not in NUMBERS:
            fail(f"{function}: {self.name} has the type {self.type}, for which there are no "
                 "hostile values: NUMBERS needs a line")

    def valid(self):
        for key in ((self.function, self.name), (self.type, self.name), self.type):
            if key in VALID:
                return VALID[key]
        fail(f"{self.function}: no valid value is known for {self.name} of type {self.type}: "
             "VALID needs a line")

    def optional(self):
        return self.name in OPTIONAL[""] | OPTIONAL.get(self.function, set())

    def allows(self, number):
        every = ALLOWED[""].get(self.name, [])
        return number in every + ALLOWED.get(self.function, {}).get(self.name, [])


class Function:
    def __init__(self, declaration):
        match = re.match(r"^(.*?)\s*(\w+)\((.*)\)$", declaration)
        if not match:
            fail(f"this declaration is not understood: {declaration}")
        self.result = re.sub(r"\s*\*$", " *", match.group(1))
        self.name = match.group(2)
        texts = [] if match.group(3) == "void" else match.group(3).split(",")
        self.parameters = [Parameter(self.name, text.strip()) for text in texts]
        self.is_free = self.name.endswith("_free")

    def call(self, replaced):
        values = [replaced.get(p.name, p.valid()) for p in self.parameters]
        return f"{self.name}({', '.join(values)})"

    def results_cleared(self, replaced):
        """Checks that a call that failed has left NULL in its results."""
        for p in self.parameters:
            if p.is_result and p.name not in replaced and "count" not in replaced:
                yield f"check(!status || !*({p.valid()}), \"{p.name} is not NULL after a failure\");"

    def test(self, what, replaced, expected, argument=""):
        """One call; expected is a C expression about what came back, or a call that checks it."""
        yield f'    begin("{self.name}", "{what}");'
        if self.result == "void":
            yield f"    {self.call(replaced)};"
            yield "    check(1, NULL);"
            return
        kind = "ptq_status status" if self.result == "ptq_status" else f"{self.result} value"
        yield "    {"
        yield f"        {kind} = {self.call(replaced)};"
        yield f"        {expected};"
        if self.result == "ptq_status":
            for line in self.results_cleared(replaced):
                yield "        " + line
        yield "    }"

    def nothing(self):
        """What a getter says of NULL."""
        if self.result.endswith("*"):
            return 'check(value == NULL, "not NULL")'
        return 'check(is_nothing((double)value), "neither 0 nor -1 nor NaN")'

    def tests(self):
        status = self.result == "ptq_status"
        unchecked = "check(1, NULL); (void)value"
        ok = 'check(status == PTQ_OK, "not PTQ_OK")'
        if not self.is_free:
            yield from self.test("all valid", {}, ok if status else unchecked)
        for p in self.parameters:
            if p.is_pointer:
                yield from self.null_tests(p, ok if status else unchecked)
            else:
                yield from self.number_tests(p)
        null = {p.name: "NULL" if p.is_pointer else "0" for p in self.parameters}
        if null:
            wanted = f'refused(status, "{self.name}: ")' if status else unchecked
            yield from self.test("all NULL and 0", null, wanted)

    def null_tests(self, p, fine):
        status = self.result == "ptq_status"
        if p.optional():
            wanted = fine
        elif status:
            wanted = f'refused(status, "{self.name}: {p.name} is NULL")'
        else:
            wanted = self.nothing()
        yield from self.test(f"{p.name} = NULL", {p.name: "NULL"}, wanted)
        if p.is_array:
            holes = p.valid().replace("w.", "w.holes.")
            wanted = fine if p.optional() else (
                f'refused(status, "{self.name}: {p.name}[1] is NULL")')
            yield from self.test(f"{p.name}[1] = NULL", {p.name: holes}, wanted)

    def has(self, name):
        return any(p.name == name for p in self.parameters)

    def number_tests(self, p):
        for number, value in NUMBERS[p.type].items():
            if p.name.startswith("ld") and self.has("rows"):  # one row has no next one
                yield from self.test(f"rows = 1, {p.name} = {number}", {"rows": "1", p.name: value},
                                     "check(1, NULL); (void)status")
            if number in CLAIMED.get(p.name, []) and self.name not in SIZES:
                yield f'    skip("{self.name}", "{p.name} = {number}");'
                continue
            if self.name in SIZES and number not in ("0", "2^31"):
                wanted = 'check(value == 0, "not 0")'
            elif self.result != "ptq_status":
                wanted = "check(1, NULL); (void)value"
            elif p.allows(number):
                wanted = "check(1, NULL); (void)status"
            else:
                wanted = 'check(status != PTQ_OK && *message(), "PTQ_OK, or no message")'
            yield from self.test(f"{p.name} = {number}", {p.name: value}, wanted)


PROGRAM = r"""
/* Written by test/hostile.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ptq/ptq.h"

enum { N = 8, K = 64, ROWS = 4, SIZE = 1 << 17 };

struct results {
    ptq_context *context;
    ptq_tensor *tensor;
    ptq_stats *stats;
    ptq_config *config;
    ptq_store *store;
    ptq_qtensor *q[2];
    ptq_equalization *equalization;
    ptq_linear *linear;
    ptq_call *call;
    ptq_layout *layout;
    ptq_encoding *encoding;
};

/* Everything that calls take: handles, and memory that is large enough for what they say of it. */
static struct world {
    ptq_context *context;
    ptq_tensor *tensor;
    ptq_stats *stats, *other;
    ptq_config *config;
    ptq_store *reading, *writing;
    ptq_qtensor *q, *with_minima, *with_levels, *with_super;
    ptq_equalization *equalization;
    ptq_linear *linear, *begun, *packed_all;
    ptq_call *call;
    ptq_layout *layout;
    ptq_encoding *encoding;
    const ptq_linear *linears[2];
    const ptq_tensor *weights[2];
    const ptq_stats *own_stats[2];
    const ptq_qtensor *parts[2];
    struct {
        const ptq_tensor *weights[2];
        const ptq_stats *own_stats[2];
        const ptq_qtensor *parts[2];
        const ptq_linear *linears[2];
    } holes; /* with a NULL behind the first */
    struct results results;
    _Alignas(64) uint8_t memory[SIZE], packed[SIZE], prepared[SIZE];
    float floats[SIZE], ones[SIZE], x[ROWS * K];
    uint8_t codes[SIZE];
    int8_t levels[16];
    int32_t numbers[K], group_index[K];
    int64_t shape[2], rows[2 * N], integer;
    double number;
    char text[64], path[512], stats_path[512], out_path[512];
    uint8_t file[SIZE]; /* what is at path */
    int64_t file_bytes;
} w;

/* What the process that makes the calls of a function tells the one that started it. */
static struct shared {
    long passed, failed, skipped;
    char now[256];
} *shared;

static char last[512];

static const char *message(void)
{
    ptq_last_message(last, sizeof last);
    return last;
}

static void check(int ok, const char *problem)
{
    if (ok) {
        shared->passed++;
        return;
    }
    shared->failed++;
    printf("FAILED: %s: %s; the last message is \"%s\"\n", shared->now, problem, message());
}

static inline int is_nothing(double value)
{
    return value == 0 || value == -1 || value != value;
}

/* The status for NULL, with a message that begins in this way. */
static inline void refused(ptq_status status, const char *text)
{
    check(status == PTQ_ERROR_ARGUMENT && !strncmp(message(), text, strlen(text)),
          "not PTQ_ERROR_ARGUMENT, or another message");
}

static void need(ptq_status status)
{
    if (!status)
        return;
    printf("FAILED: the valid arguments cannot be made: %s\n", message());
    fflush(stdout);
    _exit(1);
}

static void *allocate(void *user, int64_t bytes, int64_t alignment)
{
    void *pointer = NULL;
    (void)user;
    return posix_memalign(&pointer, (size_t)alignment, (size_t)bytes) ? NULL : pointer;
}

static void release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static void hear(void *user, int32_t level, const char *text)
{
    (void)user, (void)level, (void)text;
}

static void progress(void *user, double fraction, const char *what)
{
    (void)user, (void)fraction, (void)what;
}

static ptq_status in_turn(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    (void)user;
    for (int64_t part = 0; part < parts; part++)
        body(argument, part);
    return PTQ_OK;
}

static void fill_memory(const char *directory)
{
    for (int i = 0; i < SIZE; i++)
        w.ones[i] = 1.0f;
    for (int i = 0; i < ROWS * K; i++)
        w.x[i] = (float)(i % 7 - 3);
    for (int i = 0; i < K; i++) {
        w.numbers[i] = i;
        w.group_index[i] = i / 32;
    }
    for (int i = 0; i < 2 * N; i++)
        w.rows[i] = i;
    w.shape[0] = N;
    w.shape[1] = K;
    snprintf(w.path, sizeof w.path, "%s/hostile.safetensors", directory);
    snprintf(w.stats_path, sizeof w.stats_path, "%s/hostile-stats.safetensors", directory);
    snprintf(w.out_path, sizeof w.out_path, "%s/hostile-out.safetensors", directory);
}

static void make_stats(ptq_stats **stats)
{
    need(ptq_stats_create(w.context, K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH,
                          stats));
    need(ptq_stats_update(*stats, w.x, PTQ_DTYPE_F32, ROWS, K, NULL));
}

static void make_handles(void)
{
    ptq_linear *packed;
    need(ptq_context_create(&w.context));
    need(ptq_context_set_threads(w.context, 2));
    need(ptq_tensor_create(w.context, PTQ_DTYPE_F32, 2, w.shape, &w.tensor));
    memcpy(ptq_tensor_data(w.tensor), w.ones, N * K * sizeof(float));
    w.weights[0] = w.weights[1] = w.holes.weights[0] = w.tensor;
    make_stats(&w.stats);
    make_stats(&w.other);
    need(ptq_config_create(w.context, PTQ_METHOD_RTN, &w.config));
    need(ptq_config_set_int(w.config, PTQ_PARAM_GROUP, 32));
    need(ptq_qtensor_create(w.context, N, K, 4, 32, &w.q));
    need(ptq_qtensor_set_codes(w.q, w.codes));
    need(ptq_qtensor_set_scales(w.q, w.ones));
    need(ptq_qtensor_set_row_scales(w.q, w.ones));
    need(ptq_qtensor_set_activations(w.q, PTQ_ACTIVATIONS_INT8_TOKEN));
    need(ptq_qtensor_create(w.context, N, K, 4, 32, &w.with_minima));
    need(ptq_qtensor_set_minima(w.with_minima, w.ones));
    need(ptq_qtensor_create(w.context, N, K, 4, 32, &w.with_levels));
    need(ptq_qtensor_set_levels(w.with_levels, w.levels));
    need(ptq_qtensor_create(w.context, N, 256, 4, 32, &w.with_super));
    need(ptq_qtensor_set_codes(w.with_super, w.codes));
    need(ptq_qtensor_set_scales(w.with_super, w.ones));
    need(ptq_qtensor_set_minima(w.with_super, w.ones));
    need(ptq_qtensor_set_super_scales(w.with_super, w.ones, w.ones));
    w.parts[0] = w.parts[1] = w.holes.parts[0] = w.q;
    need(ptq_equalize(w.config, w.weights, 1, w.stats, NULL, &w.equalization));
    need(ptq_linear_create_in(w.context, w.q, w.packed, sizeof w.packed, &packed));
    ptq_linear_free(packed);
    need(ptq_linear_create(w.context, w.q, &w.linear));
    w.linears[0] = w.linears[1] = w.holes.linears[0] = w.linear;
    need(ptq_linear_set_bias(w.linear, w.ones));
    need(ptq_layout_of(w.context, w.q, &w.layout));
    need(ptq_linear_begin(w.layout, w.q, NULL, 0, &w.begun));
    need(ptq_linear_begin(w.layout, w.q, NULL, 0, &w.packed_all));
    need(ptq_linear_pack_rows(w.packed_all, w.q, 0, 0, N));
    need(ptq_encoding_create(w.context, 4, PTQ_ALONG_K, 8, NULL, PTQ_VALUES_UNSIGNED, &w.encoding));
    need(ptq_call_create(w.context, w.linears, 1, &w.call));
    need(ptq_call_set_x(w.call, w.x, PTQ_DTYPE_F32, ROWS, K));
    need(ptq_call_set_y(w.call, 0, w.floats, PTQ_DTYPE_F32, ROWS, N));
    need(ptq_call_set_prepared(w.call, w.prepared, sizeof w.prepared));
    need(ptq_call_prepare_part(w.call, 0, 1, NULL, 0));
}

static void write_files(void)
{
    ptq_store *store;
    make_handles();
    need(ptq_store_create(w.context, w.path, &store));
    need(ptq_qtensor_write(w.q, PTQ_FORMAT_PTQ, store, "q"));
    need(ptq_store_commit(store));
    ptq_store_free(store);
    need(ptq_stats_save(w.stats, w.stats_path));
}

static void read_file(void)
{
    FILE *in = fopen(w.path, "rb");
    w.file_bytes = in ? (int64_t)fread(w.file, 1, sizeof w.file, in) : 0;
    if (in)
        fclose(in);
}

static void describe(const char *function, const char *what)
{
    snprintf(shared->now, sizeof shared->now, "%s with %s", function, what);
}

/* Before each call: handles that no call has changed. Those of the last one stay, as what frees them
 * may be what is tested. */
static void begin(const char *function, const char *what)
{
    double unused;
    describe(function, what);
    make_handles();
    read_file();
    need(ptq_store_open(w.context, w.path, &w.reading));
    need(ptq_store_create(w.context, w.out_path, &w.writing));
    w.results = (struct results){.context = w.context, /* anything but NULL */
                                 .tensor = w.tensor,
                                 .stats = w.stats,
                                 .config = w.config,
                                 .store = w.writing,
                                 .q = {w.q, w.q},
                                 .equalization = w.equalization,
                                 .linear = w.linear};
    ptq_config_bounds(-1, &unused, &unused); /* a message that no other call has */
}

static inline void skip(const char *function, const char *what)
{
    describe(function, what);
    shared->skipped++;
}

@TESTS@
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
@TABLE@};

/* The calls of one function, in a process of their own: if it crashes, the others go on. This one has
 * no threads, which do not go well with fork under emulation. */
static void run(const char *name, void (*calls)(void))
{
    int status = 0;
    snprintf(shared->now, sizeof shared->now, "%s, before its first call", name);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(120);
        calls();
        fflush(stdout);
        _exit(0);
    }
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
        return;
    shared->failed++;
    printf("FAILED: %s: the process ended with %s %d\n", shared->now,
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || argc != 2)
        return 2;
    fill_memory(argv[1]);
    run("what is read", write_files);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        run(tests[i].name, tests[i].run);
    printf("    %zu functions, %ld calls left out, whose memory would have to be there\n",
           sizeof tests / sizeof *tests, shared->skipped);
    printf("%ld passed, %ld failed, 0 skipped\n", shared->passed, shared->failed);
    return shared->failed != 0;
}
"""


def fail(text):
    sys.exit(f"hostile.py: {text}")


def declarations():
    for header in HEADERS:
        with open(f"include/ptq/{header}.h", encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        for match in re.finditer(r"\bPTQ_API\s+([^;]+);", text):
            yield Function(" ".join(match.group(1).split()))


def main():
    if len(sys.argv) != 2:
        fail("usage: hostile.py OUT.c")
    tests, table = [], []
    for function in declarations():
        tests += [f"static void test_{function.name}(void)", "{", *function.tests(), "}", ""]
        table.append(f'    {{"{function.name}", test_{function.name}}},\n')
    program = PROGRAM.replace("@TESTS@", "\n".join(tests)).replace("@TABLE@", "".join(table))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(program.lstrip())


main()
