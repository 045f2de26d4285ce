#!/usr/bin/env python3
"""Checks that transformers reads what ptq writes: the perplexity of quantized models in the format
compressed-tensors, by transformers and by ptq eval. Usage: readers.py PTQ FOLDER. The last line is:
N passed, N failed, N skipped.

needs: pip install torch transformers compressed-tensors accelerate"""
import json
import math
import os
import subprocess
import sys

MODEL, TEXT, CALIBRATION = "examples/llama-tiny", "examples/test-tiny.txt", "examples/calib-tiny.txt"
WINDOW, WINDOWS = 256, 24
# Settings, and how far the perplexities may be from each other. With int8 activations, one moved tie is
# more than rounding.
CASES = {"w4a16": (["--method", "gptq", "--group", "32", "--activations", "f32"], 1e-5),
         "w4a16-auto": (["--method", "auto", "--group", "32", "--activations", "f32"], 1e-5),
         "w4a16-asym": (["--method", "gptq", "--asym", "--group", "32", "--activations", "f32"], 1e-4),
         "w8a16": (["--method", "rtn", "--bits", "8", "--group", "0"], 1e-5),
         "w3a16": (["--method", "gptq", "--bits", "3", "--group", "32"], 1e-5),
         "w4a8": (["--method", "gptq", "--group", "32", "--activations", "int8-token"], 2e-3),
         "w8a8": (["--method", "smoothquant"], 1e-3)}


def ptq(*arguments):
    done = subprocess.run([sys.argv[1], *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def by_transformers(folder, settings):
    # transformers 5.24 with compressed-tensors 0.20 reads zero points only so.
    options = {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)} if "--asym" in settings else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(open(TEXT, encoding="utf-8").read(), add_special_tokens=False)["input_ids"]
    losses = []
    for i in range(WINDOWS):
        window = torch.tensor([ids[i * WINDOW:(i + 1) * WINDOW]])
        with torch.no_grad():
            logits = model(window).logits[0].float()
        losses.append(torch.nn.functional.cross_entropy(logits[:-1], window[0, 1:]).item())
    return math.exp(sum(losses) / len(losses))


def check(name):
    settings, allowed = CASES[name]
    folder = os.path.join(sys.argv[2], name)
    subprocess.run(["rm", "-rf", folder], check=True)
    calibration = [] if "rtn" in settings else ["--calib", CALIBRATION, "--samples", "16", "--seqlen", "256"]
    ptq("quantize", MODEL, "-o", folder, "--format", "compressed-tensors", *settings, *calibration)
    ours = json.loads(ptq("eval", folder, "--text", TEXT, "--window", str(WINDOW), "--max-windows", str(WINDOWS),
                          "--json"))["perplexity"]
    theirs = by_transformers(folder, settings)
    print(f"    {name}: ptq {ours:.4f}, transformers {theirs:.4f}", flush=True)
    return abs(theirs / ours - 1) <= allowed


try:
    import torch
    import transformers
    import compressed_tensors  # noqa: F401, transformers needs it
except ImportError as missing:
    print(f"    SKIPPED: {missing}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit()
os.makedirs(sys.argv[2], exist_ok=True)
failed = [name for name in CASES if not check(name)]
for name in failed:
    print(f"FAILED: {name}")
print(f"{len(CASES) - len(failed)} passed, {len(failed)} failed, 0 skipped")
sys.exit(len(failed) > 0)
