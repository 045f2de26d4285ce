#!/usr/bin/env python3
"""libptq in Python through ctypes: quantizes a matrix to 4 bits with GPTQ and runs it with int8
activations. The numpy arrays are not copied: the library reads W and x, and writes y, in place.

usage: embed.py [LIBRARY]       default: the installed libptq.so.0"""
import ctypes
import sys
import tempfile

import numpy as np

# Values of the enums in include/ptq; they never change.
F32, STATS_HESSIAN, METHOD_GPTQ = 1, 1, 2
int32, int64, pointer, text = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p

lib = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libptq.so.0")


def declare(name, result, *arguments):
    """Handles and arrays are plain pointers, sizes 64-bit integers; no struct has to be known."""
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    return function


last_message = declare("ptq_last_message", int64, text, int64)
status_name = declare("ptq_status_name", text, int32)
output_error = declare("ptq_qtensor_output_error", ctypes.c_double, pointer)
linear_bytes = declare("ptq_linear_bytes", int64, pointer)
packed_bytes = declare("ptq_linear_packed_bytes", int64, pointer, pointer)


def check(status):
    if status:
        message = ctypes.create_string_buffer(512)
        last_message(message, len(message))
        sys.exit(f"{status_name(status).decode()}: {message.value.decode()}")


def call(name, *arguments):
    """For functions that return a status and no handle."""
    types = {int: int64, bytes: text, type(None): pointer}
    declare(name, int32, *(types.get(type(a), type(a)) for a in arguments))
    check(getattr(lib, name)(*arguments))


class Handle(pointer):
    """A handle, freed with the object. It keeps what it was made from, its context above all."""

    def __init__(self, noun, function, *arguments):
        super().__init__()
        self.made_from = arguments
        call(function, *arguments, ctypes.pointer(self))
        self.free = declare(f"ptq_{noun}_free", None, pointer)

    def __del__(self):
        if self:
            self.free(self)


def data(array):
    """Where a numpy array's elements are; it must be contiguous and outlive the call."""
    assert array.dtype == np.float32 and array.flags.c_contiguous
    return pointer(array.ctypes.data)


def activations(random, rows, k):
    x = random.standard_normal((rows, k), dtype=np.float32)
    for i in range(1, k):
        x[:, i] += np.float32(0.7) * x[:, i - 1]
    x[:, 5::97] *= 4
    return x


def main():
    n, k, rows = 384, 576, 24
    random = np.random.default_rng(1)
    w = random.standard_normal((n, k), dtype=np.float32) * np.float32(0.02)

    context = Handle("context", "ptq_context_create")
    stats = Handle("stats", "ptq_stats_create", context, int64(k), int32(STATS_HESSIAN))
    for _ in range(16):
        x = activations(random, 64, k)
        call("ptq_stats_update", stats, data(x), int32(F32), len(x), k, None)

    shape = (int64 * 2)(n, k)
    weight = Handle("tensor", "ptq_tensor_borrow", context, int32(F32), int32(2), shape, data(w))
    config = Handle("config", "ptq_config_create", context, int32(METHOD_GPTQ))
    for name, value in {"bits": "4", "group": "64", "activations": "int8-token"}.items():
        call("ptq_config_parse", config, name.encode(), value.encode())
    weights = (pointer * 1)(weight)
    q = Handle("qtensor", "ptq_quantize", config, weights, 1, stats, None)
    print(f"output error {output_error(q):.1e}")

    # Pack for this CPU directly into a file, and run from there. A program that finds the file at startup
    # can skip everything above. Without a file: Handle("linear", "ptq_linear_create", context, q).
    file = tempfile.NamedTemporaryFile()
    packed = np.memmap(file, np.uint8, "w+", shape=packed_bytes(context, q))
    Handle("linear", "ptq_linear_create_in", context, q, pointer(packed.ctypes.data), packed.size)
    packed.flush()
    packed = np.memmap(file, np.uint8, "r")
    linear = Handle("linear", "ptq_linear_open", context, pointer(packed.ctypes.data), packed.size)
    print(f"{w.nbytes} bytes as {linear_bytes(linear)}")
    x = activations(random, rows, k)
    y = np.empty((rows, n), dtype=np.float32)
    product = Handle("call", "ptq_call_create", context, (pointer * 1)(linear), 1)
    call("ptq_call_set_x", product, data(x), int32(F32), rows, k)
    call("ptq_call_set_y", product, 0, data(y), int32(F32), rows, n)
    call("ptq_call_run", product, None, 0)

    exact = x.astype(np.float64) @ w.T.astype(np.float64)
    error = ((y - exact) ** 2).sum() / (exact ** 2).sum()
    print(f"relative squared error of the W4A8 product {error:.4f}")
    return 0 if error < 0.05 else 1


sys.exit(main())
