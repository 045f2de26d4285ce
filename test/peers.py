#!/usr/bin/env python3
"""Compares libptq on this machine with ONNX Runtime (MatMulNBits) and OpenVINO (compressed u4 weights), and with
OpenBLAS, which comes with numpy. There are three tables:

int8         int4 weights and int8 activations; ONNX Runtime at accuracy level 4, OpenVINO with int8 and bf16
weight-only  int4 weights and activations of full accuracy: libptq with int16-token and f32, ONNX Runtime at
             accuracy level 1 (f32), OpenVINO with f32 and bf16
f32          products of f32 matrices and X^T X

A run multiplies the same x by each of several matrices, more than the last-level cache can hold, as in
decoding. In every round each library runs in turn for a while, and its best time counts; the median over
the rounds is reported. For one thread this is CPU time, which other programs disturb less; for several,
wall-clock time. x is f32 and its quantization is included. All libraries use the same codes and scales, and
all results are checked. bf16 is left out where the CPU does not have it.

--isa holds libptq, OpenVINO and OpenBLAS to one instruction set. ONNX Runtime has no setting for this and is
left out. With avx2, OpenVINO computes in f32 in place of int8, which it does with VNNI alone.

needs: pip install numpy onnx onnxruntime openvino"""
import argparse
import ctypes
import importlib.metadata
import json
import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np

int32, int64, pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
F32, ACTIVATIONS = 1, {"f32": 0, "int8-token": 1, "int16-token": 8}  # values of the enums in include/ptq
BITS = 4
ERRORS = {"int8": 2e-3, "weight-only": 2e-5}  # relative squared ones that the tables admit: bf16 makes 6e-6
SETTLE = 0.03  # seconds for the threads of the last library to stop spinning
HELD = {  # what holds oneDNN, which is part of OpenVINO, and OpenBLAS to an instruction set
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "avx-vnni": {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI", "OPENBLAS_CORETYPE": "Haswell"},
    "avx512-vnni": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "OPENBLAS_CORETYPE": "SkylakeX"},
    "amx-int8": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX", "OPENBLAS_CORETYPE": "SkylakeX"},
}


class Matrices:
    """Codes [N][K] and scales [N][groups] of several matrices; one set of numbers serves for all."""

    def __init__(self, n, k, group, count):
        random = np.random.default_rng(1)
        self.n, self.k, self.group, self.count = n, k, group, count
        self.codes = random.integers(0, 16, (n, k), dtype=np.uint8)
        self.rows = np.float32(2.0 ** -12) * (1 + random.integers(0, 8, (n, 1))).astype(np.float32)
        self.scales = (self.rows * (1 + random.integers(0, 15, (n, k // group)))).astype(np.float32)
        nibbles = (self.codes[:, 0::2] | self.codes[:, 1::2] << 4).reshape(-1)  # the first in the low bits
        self.nibbles = [nibbles.copy() for _ in range(count)]
        for i in range(count):
            self.nibbles[i][-1] ^= i << 4  # equal ones might become one; the first stays as it is

    def product(self, x):
        weights = (self.codes.astype(np.float32) - 8).reshape(self.n, -1, self.group)
        return x @ (weights * self.scales[:, :, None]).reshape(self.n, self.k).T


class Ptq:
    """The library through its C interface; check raises where a status is not 0."""

    def __init__(self, options, matrices, threads, activations, two_level=False):
        self.lib = ctypes.CDLL(options.library)
        self.context, self.linears, q = pointer(), [], pointer()
        self.k, self.n = int64(matrices.k), int64(matrices.n)
        self.call("ptq_context_create", ctypes.byref(self.context))
        self.call("ptq_context_set_threads", self.context, int32(threads))
        self.call("ptq_context_set_isa", self.context, self.lib.ptq_isa_from_name(options.isa.encode()))
        self.call("ptq_qtensor_create", self.context, self.n, self.k, int32(BITS), int64(matrices.group),
                  ctypes.byref(q))
        self.call("ptq_qtensor_set_codes", q, pointer(matrices.codes.ctypes.data))
        self.call("ptq_qtensor_set_scales", q, pointer(matrices.scales.ctypes.data))
        if two_level:
            self.call("ptq_qtensor_set_row_scales", q, pointer(matrices.rows.ctypes.data))
        self.call("ptq_qtensor_set_activations", q, int32(ACTIVATIONS[activations]))
        for _ in range(matrices.count):
            linear = pointer()
            self.call("ptq_linear_create", self.context, q, ctypes.byref(linear))
            self.linears.append(linear)
        self.lib.ptq_qtensor_free(q)

    def call(self, name, *arguments):
        if getattr(self.lib, name)(*arguments):
            message = ctypes.create_string_buffer(512)
            self.lib.ptq_last_message(message, int64(len(message)))
            sys.exit(f"{name}: {message.value.decode()}")

    def prepare(self, x):
        self.y = np.empty((len(x), self.n.value), np.float32)
        self.calls = []
        for linear in self.linears:
            call = pointer()
            self.call("ptq_call_create", self.context, ctypes.byref(linear), int64(1), ctypes.byref(call))
            self.call("ptq_call_set_x", call, pointer(x.ctypes.data), int32(F32), int64(len(x)), self.k)
            self.call("ptq_call_set_y", call, int64(0), pointer(self.y.ctypes.data), int32(F32),
                      int64(len(x)), self.n)
            self.calls.append(call)
        self.lib.ptq_call_scratch_bytes.restype = int64
        size = self.lib.ptq_call_scratch_bytes(self.calls[0], int64(len(x)), int32(0))
        self.kept = x, np.empty(size + 64, np.uint8)
        self.scratch = pointer((self.kept[1].ctypes.data + 63) // 64 * 64), int64(size)

    def run(self):
        run = self.lib.ptq_call_run
        for call in self.calls:
            if run(call, *self.scratch):
                sys.exit("ptq_call_run failed")

    def result(self):
        return self.y

    def close(self):
        for linear in self.linears:
            self.lib.ptq_linear_free(linear)
        self.lib.ptq_context_free(self.context)


class OnnxRuntime:
    def __init__(self, _, matrices, threads, accuracy_level):
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
        n, k, group, count = matrices.n, matrices.k, matrices.group, matrices.count
        tensors, nodes, outputs = [], [], []
        for i, nibbles in enumerate(matrices.nibbles):
            tensors += [numpy_helper.from_array(nibbles.reshape(n, k // group, group // 2), f"q{i}"),
                        numpy_helper.from_array(matrices.scales, f"s{i}")]
            nodes.append(helper.make_node("MatMulNBits", ["x", f"q{i}", f"s{i}"], [f"y{i}"],
                                          domain="com.microsoft", K=k, N=n, bits=BITS, block_size=group,
                                          accuracy_level=accuracy_level))
            outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ["m", n]))
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", k])
        model = helper.make_model(helper.make_graph(nodes, "g", [x], outputs, tensors), ir_version=9,
                                  opset_imports=[helper.make_opsetid("", 17),
                                                 helper.make_opsetid("com.microsoft", 1)])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])
        self.value, self.n, self.count = onnxruntime.OrtValue.ortvalue_from_numpy, n, count

    def prepare(self, x):
        self.binding = self.session.io_binding()
        self.x = self.value(x)
        self.y = [self.value(np.empty((len(x), self.n), np.float32)) for _ in range(self.count)]
        self.binding.bind_ortvalue_input("x", self.x)
        for i, y in enumerate(self.y):
            self.binding.bind_ortvalue_output(f"y{i}", y)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def result(self):
        return self.y[0].numpy()

    def close(self):
        self.session = self.binding = self.x = self.y = None


class OpenVino:
    def __init__(self, options, matrices, threads, activations):
        import openvino
        self.tensor, op = openvino.Tensor, openvino.opset13
        n, k, group = matrices.n, matrices.k, matrices.group
        x = op.parameter([-1, k], np.float32)
        shape = openvino.Shape([n, k // group, group])
        results, self.matrices = [], matrices  # to which constants refer
        for nibbles in matrices.nibbles:
            codes = op.constant(openvino.Tensor(nibbles, shape, openvino.Type.u4))
            zero = op.constant(openvino.Tensor(np.array([8], np.uint8), openvino.Shape([1, 1, 1]),
                                               openvino.Type.u8))
            difference = op.subtract(op.convert(codes, np.float32), op.convert(zero, np.float32))
            scaled = op.multiply(difference, op.constant(matrices.scales[:, :, None]))
            results.append(op.result(op.matmul(x, op.reshape(scaled, [n, k], False), False, True)))
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_PRECISION_HINT": "bf16" if activations == "bf16" else "f32",
                    "DYNAMIC_QUANTIZATION_GROUP_SIZE": group if activations == "int8" else 0}
        model = openvino.Core().compile_model(openvino.Model(results, [x], "m"), "CPU", settings)
        kernels = [op.get_rt_info()["primitiveType"].astype(str) for op in model.get_runtime_model().get_ops()]
        if options.isa in ("avx2", "avx-vnni") and any("avx512" in kernel for kernel in kernels):
            sys.exit(f"OpenVINO uses {kernels} in spite of ONEDNN_MAX_CPU_ISA")
        self.request = model.create_infer_request()

    def prepare(self, x):
        self.kept = x
        self.request.set_input_tensor(self.tensor(x, shared_memory=True))

    def run(self):
        self.request.start_async(share_inputs=True)
        self.request.wait()

    def result(self):
        return self.request.get_output_tensor(0).data

    def close(self):
        self.request = None


def burst(library, seconds, clock):
    """The best time of a run; the first one counts only where there is time for no other."""
    times, end = [], time.perf_counter() + seconds
    while True:
        start = clock()
        library.run()
        times.append(clock() - start)
        if time.perf_counter() > end:
            return min(times[1:] or times)


class Others:
    """What part of the machine other programs used since this was made; 0 where that is not known."""

    def __init__(self):
        self.start = self.now()

    @staticmethod
    def now():
        try:
            with open("/proc/stat") as file:
                user, nice, system, idle, wait, *interrupts = map(int, file.readline().split()[1:9])
        except OSError:
            return 0, 1, 0
        busy = user + nice + system + sum(interrupts)
        return busy, busy + idle + wait, time.process_time() * os.sysconf("SC_CLK_TCK")

    def part(self):
        busy, everything, own = (now - then for now, then in zip(self.now(), self.start))
        return max(0.0, (busy - own) / everything) if everything else 0.0


def check(name, library, want, limit):
    """The relative squared error of a result, which must be below the limit."""
    library.run()
    error = ((library.result() - want) ** 2).sum() / (want ** 2).sum()
    if not error < limit:
        sys.exit(f"{name}: relative squared error {error:.2e}: it does not compute this product")
    return float(error)


def last_cache():
    try:
        return os.sysconf("SC_LEVEL3_CACHE_SIZE") or 32 << 20
    except ValueError:
        return 32 << 20


def columns(table, isa):
    """The libraries of a table: the class of each and its settings."""
    int8 = table == "int8"
    if int8:
        result = {"ptq": (Ptq, "int8-token"), "ptq two-level": (Ptq, "int8-token", True)}
    else:
        result = {"ptq int16": (Ptq, "int16-token"), "ptq f32": (Ptq, "f32")}
    if isa == "auto":
        result["onnxruntime"] = OnnxRuntime, 4 if int8 else 1
    types = ["int8" if int8 and isa != "avx2" else "f32"]
    if isa in ("auto", "amx-int8") and "avx512_bf16" in cpu("flags"):
        types.append("bf16")
    return {**result, **{f"openvino {name}": (OpenVino, name) for name in types}}


def compare(options, table, n, k, group, threads):
    """Rows of the table for one shape: GOP/s of each library for each number of rows."""
    matrices = Matrices(n, k, group, 1 + 2 * last_cache() // (n * k // 2))
    libraries = {name: library(options, matrices, threads, *settings)
                 for name, (library, *settings) in columns(table, options.isa).items()}
    rows, clock = [], time.process_time if threads == 1 else time.perf_counter
    for m in options.m:
        x = np.random.default_rng(m).standard_normal((m, k), dtype=np.float32)
        times, errors, others = {name: [] for name in libraries}, {}, Others()
        for name, library in libraries.items():
            library.prepare(x)
            errors[name] = check(name, library, matrices.product(x), ERRORS[table])
        for _ in range(options.rounds):
            for name, library in libraries.items():
                time.sleep(SETTLE)
                times[name].append(burst(library, options.seconds, clock))
        operations = 2e-9 * m * n * k * matrices.count
        gops = {name: operations / statistics.median(t) for name, t in times.items()}
        best = max(value for name, value in gops.items() if not name.startswith("ptq"))
        rows.append({"table": table, "m": m, "n": n, "k": k, "group": group, "threads": threads, "gops": gops,
                     "errors": errors, "ratio": next(iter(gops.values())) / best, "others": others.part()})
        print(f"{n:>6} {k:>6} {group:>5} {threads:>7} {m:>5}" +
              "".join(f" {value:>13.0f}" for value in gops.values()) +
              f" {rows[-1]['ratio']:>6.2f} {rows[-1]['others']:>6.0%}", flush=True)
    for library in libraries.values():
        library.close()
    return rows


OPENBLAS = """
import sys, time, numpy as np
kernel, n, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
clock = time.process_time if sys.argv[4] == "1" else time.perf_counter
a, b = (np.random.default_rng(i).standard_normal((n, n), dtype=np.float32) for i in range(2))
c = np.empty((n, n), np.float32)
times, end = [], time.perf_counter() + seconds
while len(times) < 3 or time.perf_counter() < end:
    start = clock()
    np.matmul(a, b.T, out=c) if kernel == "f32" else np.matmul(a.T, a, out=c)  # numpy knows X^T X
    times.append(clock() - start)
print(min(times))
"""


def output_of(command, **environment):
    return subprocess.run(command, capture_output=True, check=True, text=True,
                          env=dict(os.environ, **environment)).stdout


def openblas(isa):
    """The columns of OpenBLAS, with their settings. By itself it takes up AVX-512 only on CPUs that it knows."""
    if isa == "auto" and "avx512" in cpu("flags"):
        return {"openblas": {}, "with avx512": HELD["avx512-vnni"]}
    return {"openblas": {}}


def compare_f32(options, kernel, threads):
    """A product of square matrices, or the upper half of X^T X; alternating programs."""
    n = str(options.square)
    bench = [options.ptq, "bench", "--kernel", kernel, "--m", n, "--n", n, "--k", n, "--threads",
             str(threads), "--isa", options.isa, "--json"]
    other = [sys.executable, "-c", OPENBLAS, kernel, n, "1", str(threads)]
    programs = {"ptq": lambda: json.loads(output_of(bench))["rows"][0]["seconds"]}
    for name, settings in openblas(options.isa).items():
        own = {"OPENBLAS_NUM_THREADS": str(threads), **settings}
        programs[name] = lambda own=own: float(output_of(other, **own))
    times = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, run in programs.items():
            times[name].append(run())
    operations = 1e-9 * options.square ** 2 * (2 * options.square if kernel == "f32" else options.square + 1)
    gops = {name: operations / statistics.median(t) for name, t in times.items()}
    ratio = gops["ptq"] / max(value for name, value in gops.items() if name != "ptq")
    print(f"{kernel:>6} {n:>6} {threads:>7}" + "".join(f" {v:>13.1f}" for v in gops.values()) +
          f" {ratio:>6.2f}", flush=True)
    return {"kernel": kernel, "n": options.square, "threads": threads, "gops": gops, "ratio": ratio}


def cpu(field):
    try:
        with open("/proc/cpuinfo") as file:
            return re.search(rf"{field}\s*: (.*)", file.read()).group(1)
    except (OSError, AttributeError):
        return "unknown"


def titles(names):
    return "".join(f" {name:>13}" for name in names)


def numbers(text):
    return [int(number) for number in text.split(",")]


def shapes(text):
    return [tuple(int(number) for number in shape.split("x")) for shape in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--library", default="build/libptq.so")
    parser.add_argument("--ptq", default="build/ptq", help="the command, for f32")
    parser.add_argument("--shapes", type=shapes, default="4096x4096,4096x11008,11008x4096", help="NxK,...")
    parser.add_argument("--group", type=numbers, default="32,128")
    parser.add_argument("--m", type=numbers, default="1,4,8,16,32,64,128,512")
    parser.add_argument("--threads", type=numbers, default="1,2")
    parser.add_argument("--square", type=int, default=4096, help="size of the f32 matrices")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15, help="for one library in one round")
    parser.add_argument("--only", choices=[*ERRORS, "f32"], help="one table")
    parser.add_argument("--isa", choices=["auto", *HELD], default="auto", help="the same for all libraries")
    parser.add_argument("--json", metavar="FILE", help="the same for machines")
    return parser.parse_args()


def main():
    options = parse()
    os.environ.update(HELD.get(options.isa, {}))  # before OpenVINO is loaded
    versions = {package.name: package.version for package in importlib.metadata.distributions()
                if package.name in ("numpy", "onnxruntime", "openvino")}
    out = {"cpu": cpu("model name"), "isa": options.isa, "versions": versions, "rounds": options.rounds,
           "rows": [], "f32": []}
    print(f"{out['cpu']}, instruction set: {options.isa}, {versions}\n"
          "GOP/s; ratio: the first column to the fastest peer; others: load by other programs")
    for table in ERRORS:
        if options.only not in (None, table):
            continue
        print(f"{table}\n     N      K group threads     M" + titles(columns(table, options.isa)) + "  ratio others")
        for n, k in options.shapes:
            for group in options.group:
                for threads in options.threads:
                    out["rows"] += compare(options, table, n, k, group, threads)
    if options.only in (None, "f32"):
        print("f32\nkernel      n threads" + titles(["ptq", *openblas(options.isa)]) + "  ratio")
        for kernel in "f32", "xtx":
            for threads in options.threads:
                out["f32"].append(compare_f32(options, kernel, threads))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(out, file, indent=1)


main()
