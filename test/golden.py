"""golden.py DIRECTORY PTQ...: compares `ptq layer` with the outputs of the original implementations listed in
index.json. RTN codes may differ only on ties, output errors by 1 %. PTQ may be several words."""
import json
import os
import struct
import subprocess
import sys
import tempfile


def load(path, name):
    """The bytes of a tensor."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack_from("<Q", data)
    begin, end = json.loads(data[8:8 + length])[name]["data_offsets"]
    return data[8 + length + begin:8 + length + end]


def problems(case, directory, ptq, out):
    command = ptq + ["layer", os.path.join(directory, case["layer"]), "--weight", "weight",
                     "--input", "input", "--method", case["method"], "--bits", str(case["bits"]),
                     "--group", str(case["group"]), "--sym" if case["sym"] else "--asym",
                     "--grid", case.get("grid", "gptq"), "-o", out, "--json"]
    for key in ("act_order", "static_groups", "mse"):
        if case.get(key):
            command.append("--" + key.replace("_", "-"))
    if "damping" in case:
        command += ["--damp", str(case["damping"])]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return [run.stderr.strip()]
    found = []
    report = json.loads(run.stdout)
    for key in ("output_error", "weight_error") if case["method"] == "rtn" else ("output_error",):
        if report[key] > 1.01 * case[key]:
            found.append(f"{key} {report[key]}, the original's {case[key]}")
    if case["method"] == "rtn":
        ours, theirs = load(out, "codes"), load(os.path.join(directory, case["file"]), "codes")
        differ = sum(a != b for a, b in zip(ours, theirs))
        if len(ours) != len(theirs) or differ > 1e-4 * len(theirs):
            found.append(f"{differ} of {len(theirs)} codes differ")
    return found


def main():
    directory, ptq = sys.argv[1], sys.argv[2:]
    with open(os.path.join(directory, "index.json"), encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    failed = tried = 0
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases:
            if case["method"] not in ("rtn", "gptq"):
                continue
            tried += 1
            found = problems(case, directory, ptq, os.path.join(scratch, "out.safetensors"))
            failed += bool(found)
            for line in found:
                print(f"{case['file']}: {line}")
    print(f"{tried - failed} of {tried} cases hold")
    sys.exit(failed != 0 or tried == 0)


main()
