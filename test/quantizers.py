#!/usr/bin/env python3
"""Compares the accuracy of ptq with that of GPTQModel and llm-compressor, in the formats of these tools: the
perplexity of SmolLM2-135M-Instruct, as `ptq eval` measures it on the directory that each writes.

All are calibrated on the same 64 windows of 512 tokens. The tools compute in f32, as ptq does, except that
GPTQModel has AWQ in f16 only. They then store in f32 what is not quantized; sizes are what f16 would take.
Each tool has its own Python, because they need different versions of transformers: --gptqmodel and
--llmcompressor name them. A tool that is not named is left out.

needs: pip install gptqmodel (7.7)     in the one,
       pip install llmcompressor (0.14) in the other"""
import argparse
import json
import os
import shutil
import subprocess
import sys

SAMPLES, LENGTH = 64, 512
AUTO = ["--method", "auto"]
# Rows of the table: the format, then for each competitor its name, the tool and its settings.
ROWS = {
    "gptq, 4 bits, group 128": ("gptq", 128, [
        ("gptqmodel", "gptqmodel", {"bits": 4, "group_size": 128, "desc_act": False}),
        ("gptqmodel, act-order", "gptqmodel", {"bits": 4, "group_size": 128, "desc_act": True}),
        ("ptq, gptq", "ptq", ["--method", "gptq"]),
        ("ptq, auto", "ptq", AUTO)]),
    "awq, 4 bits, group 64": ("awq", 64, [
        ("gptqmodel", "gptqmodel", {"bits": 4, "group_size": 64, "method": "awq", "sym": False}),
        ("ptq, awq", "ptq", ["--method", "awq"]),
        ("ptq, auto", "ptq", AUTO)]),
    "compressed-tensors, W4A16, group 64": ("compressed-tensors", 64, [
        ("llm-compressor, GPTQ", "llmcompressor", {"bits": 4, "group_size": 64}),
        ("ptq, auto", "ptq", AUTO + ["--activations", "f32"])]),
    "compressed-tensors, W4A8, group 64": ("compressed-tensors", 64, [
        ("llm-compressor, GPTQ", "llmcompressor", {"bits": 4, "group_size": 64, "activations": 8}),
        ("ptq, auto", "ptq", AUTO + ["--activations", "int8-token"])]),
    "compressed-tensors, W8A8, rows": ("compressed-tensors", 0, [
        ("llm-compressor, SmoothQuant 0.5 and GPTQ", "llmcompressor", {"bits": 8, "activations": 8, "smooth": 0.5}),
        ("llm-compressor, SmoothQuant 0.8 and GPTQ", "llmcompressor", {"bits": 8, "activations": 8, "smooth": 0.8}),
        ("ptq, smoothquant", "ptq", ["--method", "smoothquant"]),
        ("ptq, auto", "ptq", AUTO + ["--bits", "8", "--activations", "int8-token"])]),
}


def output(*command, cwd=None):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()[-500:]}")
    return done.stdout


def calibration_ids(a):
    """The windows that ptq takes: spread evenly over the text."""
    ids = json.loads(output(a.ptq, "tokenize", a.model, "--text", a.calib))
    available = len(ids) // LENGTH
    starts = [i * available // SAMPLES * LENGTH for i in range(SAMPLES)]
    return [ids[start:start + LENGTH] for start in starts]


def by_gptqmodel(model, folder, windows, bits, group_size, method="gptq", **settings):
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # with two CPUs it takes 1, and then wants 2
    import torch
    from gptqmodel import GPTQModel, QuantizeConfig
    config = QuantizeConfig(bits=bits, group_size=group_size, method=method,
                            format="gemm" if method == "awq" else "gptq", **settings)
    dtype = torch.float16 if method == "awq" else torch.float32
    network = GPTQModel.load(model, config, device="cpu", dtype=dtype)
    network.quantize([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in windows], batch_size=1)
    network.save(folder)


def by_llmcompressor(model, folder, windows, bits, group_size=None, activations=None, smooth=None):
    import torch
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier
    from transformers import AutoModelForCausalLM
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group" if group_size else "channel"}
    if group_size:
        weights["group_size"] = group_size
    scheme = {"targets": ["Linear"], "weights": weights}
    if activations:
        scheme["input_activations"] = {"num_bits": activations, "type": "int", "symmetric": True, "strategy": "token",
                                       "dynamic": True}
    recipe = [SmoothQuantModifier(smoothing_strength=smooth)] if smooth else []
    recipe.append(GPTQModifier(config_groups={"group_0": scheme}, ignore=["lm_head"]))
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    data = Dataset.from_dict({"input_ids": windows, "attention_mask": [[1] * LENGTH] * len(windows)})
    oneshot(model=network, dataset=data, recipe=recipe, max_seq_length=LENGTH, num_calibration_samples=len(windows))
    network.save_pretrained(folder, save_compressed=True)


INSIDE = {"gptqmodel": by_gptqmodel, "llmcompressor": by_llmcompressor}


def quantize(a, tool, settings, form, group, folder):
    if tool == "ptq":
        output(a.ptq, "quantize", a.model, "-o", folder, "--format", form, "--group", group, "--calib", a.calib,
               "--samples", SAMPLES, "--seqlen", LENGTH, *settings)
        return
    windows = os.path.join(a.folder, "windows.json")
    with open(windows, "w", encoding="utf-8") as file:
        json.dump(calibration_ids(a), file)
    output(getattr(a, tool), os.path.abspath(__file__), "--inside", tool, a.model, folder, windows,
           json.dumps(settings), cwd=a.folder)  # where GPTQModel writes its logs
    for name in "tokenizer.json", "tokenizer_config.json":
        shutil.copy(os.path.join(a.model, name), folder)


def megabytes(folder):
    """The size of all tensors, if those in f32 were in f16."""
    size = 0
    for name in os.listdir(folder):
        if name.endswith(".safetensors"):
            with open(os.path.join(folder, name), "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            for key, tensor in header.items():
                if key != "__metadata__":
                    begin, end = tensor["data_offsets"]
                    size += (end - begin) // (2 if tensor["dtype"] == "F32" else 1)
    return size / 1e6


def perplexity(a, folder, windows):
    return json.loads(output(a.ptq, "eval", folder, "--text", a.text, "--window", 1024, "--json", "--activations", "own",
                             *(["--max-windows", windows] if windows else [])))["perplexity"]


def main():
    if sys.argv[1:2] == ["--inside"]:
        tool, model, folder, windows, settings = sys.argv[2:]
        with open(windows, encoding="utf-8") as file:
            INSIDE[tool](model, folder, json.load(file), **json.loads(settings))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="SmolLM2-135M, made by ../shared/tools/smollm2.py")
    parser.add_argument("folder", help="for the quantized models; what is there already is kept")
    parser.add_argument("--ptq", default="build/ptq")
    parser.add_argument("--calib", default="../shared/data/calib.txt")
    parser.add_argument("--text", default="../shared/data/wikitext2-test.txt")
    parser.add_argument("--gptqmodel", help="the Python that has GPTQModel")
    parser.add_argument("--llmcompressor", help="the Python that has llm-compressor")
    parser.add_argument("--only", default="", help="rows whose name has this text")
    parser.add_argument("--whole", action="store_true", help="also the whole text")
    a = parser.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    a.model, a.folder = os.path.abspath(a.model), os.path.abspath(a.folder)
    for row, (form, group, competitors) in ROWS.items():
        if a.only not in row:
            continue
        print(row)
        for name, tool, settings in competitors:
            if tool != "ptq" and not getattr(a, tool):
                continue
            folder = os.path.join(a.folder, "".join(c if c.isalnum() else "-" for c in f"{row} {name}"))
            if not os.path.exists(os.path.join(folder, "config.json")):
                quantize(a, tool, settings, form, group, folder)
            print(f"    {name:42} {perplexity(a, folder, 8):8.4f}"
                  + (f" {perplexity(a, folder, 0):8.4f}" if a.whole else "") + f" {megabytes(folder):7.1f} MB", flush=True)


if __name__ == "__main__":
    main()
