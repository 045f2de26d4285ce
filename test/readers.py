#!/usr/bin/env python3
"""Checks that others read what ptq writes: for quantized models in the formats gptq, awq and compressed-tensors,
the logits of a text and the perplexity by GPTQModel and by transformers, loaded without any option, and by ptq.
Usage: readers.py PTQ UNIT FOLDER. The last line is: N passed, N failed, N skipped.

needs: pip install torch transformers compressed-tensors accelerate gptqmodel optimum"""
import importlib
import json
import math
import os
import shutil
import subprocess
import sys

MODEL, TEXT, CALIBRATION = map(os.path.abspath, ("examples/llama-tiny", "examples/test-tiny.txt",
                                                 "examples/calib-tiny.txt"))
PTQ, UNIT, FOLDER = map(os.path.abspath, sys.argv[1:])
WINDOW, WINDOWS, COMPARED = 256, 24, 64  # COMPARED: tokens whose logits are compared

# How far logits, as a fraction of the largest, and perplexities may be from ours.
F32 = 1e-5, 1e-5
# In f16: what GPTQModel's kernels dequantize to, which transformers chooses for gptq and awq, or they multiply bf16;
# and what transformers dequantizes to when it is told to.
HALF = 1e-3, 1e-3
# An int8 activation next to a tie may move, and then all that follow. The logits of transformers in f32 and in f64
# differ as much.
INT8 = 3e-2, 2e-3

# The format, the settings, and what each reader may differ by.
CASES = {
    "gptq-w4": ("gptq", ["--method", "gptq", "--group", "32"], {"gptqmodel": F32, "transformers": HALF}),
    "gptq-w4-auto": ("gptq", ["--method", "auto", "--group", "32"], {"gptqmodel": F32}),
    "gptq-w4-act-order": ("gptq", ["--method", "gptq", "--group", "32", "--act-order"],
                          {"gptqmodel": F32, "transformers": HALF}),
    "gptq-w4-asym": ("gptq", ["--method", "gptq", "--group", "32", "--asym"],
                     {"gptqmodel": F32, "transformers": HALF}),
    # The last group of down_proj is short. transformers gives it to a kernel of GPTQModel that refuses it.
    "gptq-w4-g128": ("gptq", ["--method", "gptq", "--group", "128"], {"gptqmodel": F32}),
    "gptq-w8-rows": ("gptq", ["--method", "rtn", "--bits", "8", "--group", "0"],
                     {"gptqmodel": F32, "transformers": HALF}),
    "gptq-w3": ("gptq", ["--method", "gptq", "--bits", "3", "--group", "32"],
                {"gptqmodel": F32, "transformers": HALF}),
    "gptq-w3-asym": ("gptq", ["--method", "gptq", "--bits", "3", "--group", "32", "--asym"], {"gptqmodel": F32}),
    "gptq-w2-asym": ("gptq", ["--method", "gptq", "--bits", "2", "--group", "32", "--asym"], {"gptqmodel": F32}),
    "awq": ("awq", ["--method", "awq", "--group", "32"], {"gptqmodel": F32, "transformers": HALF}),
    "awq-auto": ("awq", ["--method", "auto", "--group", "32"], {"gptqmodel": F32}),
    "w4a16": ("compressed-tensors", ["--method", "gptq", "--group", "32", "--activations", "f32"],
              {"transformers": F32}),
    "w4a16-auto": ("compressed-tensors", ["--method", "auto", "--group", "32", "--activations", "f32"],
                   {"transformers": F32}),
    "w4a16-asym": ("compressed-tensors", ["--method", "gptq", "--asym", "--group", "32", "--activations", "f32"],
                   {"dequantizing transformers": HALF}),
    "w8a16": ("compressed-tensors", ["--method", "rtn", "--bits", "8", "--group", "0"], {"transformers": F32}),
    "w3a16": ("compressed-tensors", ["--method", "gptq", "--bits", "3", "--group", "32"], {"transformers": F32}),
    "w4a8": ("compressed-tensors", ["--method", "gptq", "--group", "32", "--activations", "int8-token"],
             {"transformers": INT8}),
    "w8a8": ("compressed-tensors", ["--method", "smoothquant"], {"transformers": INT8}),
}


def by_transformers(folder, **options):
    import transformers
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)


def by_dequantizing_transformers(folder):
    """compressed-tensors 0.20 expects zero points that are not packed, although it packs them itself: its
    PackedQuantizationCompressor.compress forgets them where the weights are on the device "meta"."""
    import transformers
    return by_transformers(folder, quantization_config=transformers.CompressedTensorsConfig(dequantize=True))


def by_gptqmodel(folder):
    """With its kernels in torch, which dequantize in the dtype of the scales. They take no other dtype than f16 when
    they load, so that f32 comes after it. That of AWQ computes in f16 only; its dequantization is used without it."""
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    network = GPTQModel.load(folder, device="cpu", dtype=torch.float16, backend=BACKEND.TORCH).model.float()
    for name, module in list(network.named_modules()):
        if type(module).__name__ == "AwqTorchLinear":
            weight = dequantize_gemm(module.qweight, module.qzeros, module.scales.float(), module.bits, module.group_size)
            dense = torch.nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
            dense.weight.data, dense.bias = weight.T.contiguous(), module.bias
            network.set_submodule(name, dense)
    return network


# What a reader imports, and how it loads a directory. Others than gptqmodel come first: it changes transformers.
READERS = {"transformers": (["transformers", "compressed_tensors", "accelerate"], by_transformers),
           "dequantizing transformers": (["transformers", "compressed_tensors", "accelerate"],
                                         by_dequantizing_transformers),
           "gptqmodel": (["gptqmodel"], by_gptqmodel)}
# What transformers needs in addition for these formats.
NEEDED = {"gptq": ["gptqmodel", "optimum"], "awq": ["gptqmodel"], "compressed-tensors": []}


def ptq(*arguments):
    done = subprocess.run([PTQ, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def missing(reader, form):
    packages = READERS[reader][0] + (NEEDED[form] if reader != "gptqmodel" else [])
    return [name for name in packages if importlib.util.find_spec(name) is None]


def write(name):
    """Quantizes the model as the case says; the directory and its perplexity."""
    form, settings, _ = CASES[name]
    folder = os.path.join(FOLDER, name)
    shutil.rmtree(folder, ignore_errors=True)
    calibration = [] if "rtn" in settings else ["--calib", CALIBRATION, "--samples", "16", "--seqlen", "256"]
    ptq("quantize", MODEL, "-o", folder, "--format", form, *settings, *calibration)
    result = ptq("eval", folder, "--text", TEXT, "--window", str(WINDOW), "--max-windows", str(WINDOWS),
                 "--activations", "own", "--json")
    return folder, json.loads(result)["perplexity"]


def perplexity(network, ids):
    losses = []
    for i in range(WINDOWS):
        window = torch.tensor([ids[i * WINDOW:(i + 1) * WINDOW]])
        logits = network(window).logits[0].float()
        losses.append(torch.nn.functional.cross_entropy(logits[:-1], window[0, 1:]).item())
    return math.exp(sum(losses) / len(losses))


def same_logits(network, ids, folder, allowed):
    """Has build/unit compare its logits with ours, and says what it printed."""
    from safetensors.torch import save_file
    path = os.path.join(FOLDER, "logits.safetensors")
    logits = network(torch.tensor([ids[:COMPARED]])).logits[0].float()
    save_file({"ids": torch.tensor(ids[:COMPARED], dtype=torch.int32), "logits": logits.contiguous()}, path)
    done = subprocess.run([UNIT, "readers"], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "PTQ_READ_MODEL": folder, "PTQ_READ_LOGITS": path,
                               "PTQ_READ_ALLOWED": str(allowed)})
    return done.returncode == 0, next(line.strip() for line in done.stdout.splitlines() if "differ" in line)


def read(name, reader, folder, ours, ids):
    allowed_logits, allowed_perplexity = CASES[name][2][reader]
    network = READERS[reader][1](folder).eval()
    with torch.no_grad():
        same, said = same_logits(network, ids, folder, allowed_logits)
        theirs = perplexity(network, ids)
    print(f"    {name}: {reader} {theirs:.4f}, ptq {ours:.4f}; {said}", flush=True)
    return same and abs(theirs / ours - 1) <= allowed_perplexity


def check(results):
    ids = json.loads(ptq("tokenize", MODEL, "--text", TEXT))
    written = {}
    for reader in READERS:
        for name, (form, _, readers) in CASES.items():
            absent = missing(reader, form)
            if reader not in readers:
                continue
            if absent:
                print(f"    SKIPPED: {name} by {reader}: no {', '.join(absent)}")
                results["skipped"] += 1
                continue
            if name not in written:
                written[name] = write(name)
            try:
                passed = read(name, reader, *written[name], ids)
            except Exception as error:  # what a reader raises is its verdict
                print(f"    {type(error).__name__}: {str(error)[:300]}")
                passed = False
            if not passed:
                print(f"FAILED: {name} by {reader}")
            results["passed" if passed else "failed"] += 1


def main():
    results = {"passed": 0, "failed": 0, "skipped": 0}
    os.makedirs(FOLDER, exist_ok=True)
    os.chdir(FOLDER)  # where GPTQModel writes its logs
    check(results)
    print(", ".join(f"{number} {name}" for name, number in results.items()))
    return results["failed"] > 0


os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # with two CPUs it takes 1, and then wants 2
try:
    import torch
except ImportError:
    print("    SKIPPED: no torch\n0 passed, 0 failed, 1 skipped")
    sys.exit()
sys.exit(main())
