#!/usr/bin/env python3
"""Records test/data/blocks.gguf: blocks of random bytes of every type that the library reads, and what
gguf-py (of llama.cpp's source tree) makes of them.

    PYTHONPATH=LLAMA.CPP/gguf-py make_gguf.py OUT

A tensor NAME.weight has a type, NAME.wanted the dequantized values in F32. The metadata have a value of every
type.
"""

import sys

import gguf
import numpy as np
from gguf.quants import dequantize

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
UNKNOWN = ["Q2_K", "MXFP4"]
HALVES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
ROWS, COLUMNS = 2, 512


def blocks(name, kind, random):
    values, size = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (ROWS, COLUMNS // values, size), np.uint8)
    for at in HALVES.get(name, [0]):  # finite ones, some subnormal
        half = random.standard_normal(data.shape[:2]) * 10.0 ** random.integers(-7, 2, data.shape[:2])
        half = half.astype(np.float16)
        half[half == 0] = 0.5  # nobody can tell what the scales of a block are whose factor is 0
        data[:, :, at : at + 2] = half[..., None].view(np.uint8)
    return data.reshape(ROWS, -1)


def main():
    random = np.random.default_rng(7)
    w = gguf.GGUFWriter(sys.argv[1], "test")
    w.add_uint8("t.u8", 255)
    w.add_int8("t.i8", -128)
    w.add_uint16("t.u16", 65535)
    w.add_int16("t.i16", -32768)
    w.add_uint32("t.u32", 4294967295)
    w.add_int32("t.i32", -2147483648)
    w.add_float32("t.f32", 1e-5)
    w.add_bool("t.bool", True)
    w.add_string("t.str", 'a "text" \u00e9\n')
    w.add_uint64("t.u64", 9007199254740993)
    w.add_int64("t.i64", -9223372036854775808)
    w.add_float64("t.f64", 0.1)
    w.add_array("t.words", ["a", "b\"c", "\u0120d"])
    w.add_array("t.numbers", [1, -2, 3])
    w.add_array("t.reals", [0.5, 1e-5])
    w.add_array("t.flags", [True, False])
    for name in TYPES + UNKNOWN:
        kind = gguf.GGMLQuantizationType[name]
        data = blocks(name, kind, random)
        w.add_tensor(name + ".weight", data, raw_dtype=kind)
        if name in TYPES:
            w.add_tensor(name + ".wanted", dequantize(data, kind))
    w.add_tensor("half", np.arange(6, dtype=np.float16).reshape(1, 2, 3))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
