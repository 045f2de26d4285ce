#!/usr/bin/env python3
"""Usage: same_checkpoint.py A B. Compares two checkpoints in safetensors: every tensor's name, dtype, shape and
bytes, however they are divided into files, and every JSON file as values. Prints the first difference."""
import glob
import json
import os
import struct
import sys


def tensors(folder):
    found = {}
    for path in glob.glob(os.path.join(folder, "model*.safetensors")):
        with open(path, "rb") as file:
            data = file.read()
        length = struct.unpack("<Q", data[:8])[0]
        for name, t in json.loads(data[8:8 + length]).items():
            if name != "__metadata__":
                begin, end = t["data_offsets"]
                found[name] = t["dtype"], t["shape"], data[8 + length + begin:8 + length + end]
    return found


def values(folder):
    return {name: json.load(open(os.path.join(folder, name), encoding="utf-8"))
            for name in os.listdir(folder) if name.endswith(".json") and not name.endswith(".index.json")}


for read in tensors, values:
    a, b = read(sys.argv[1]), read(sys.argv[2])
    for name in sorted(set(a) | set(b)):
        if a.get(name) != b.get(name):
            sys.exit(f"{name} differs, or only one has it")
