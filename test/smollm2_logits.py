#!/usr/bin/env python3
"""Records what transformers 5.24 gives for SmolLM2-135M in f32, eager attention: some of the logits of a text.
Usage: test/smollm2_logits.py MODEL IDS.json OUT.safetensors. IDS.json is a list of ids, of which 64 are used."""
import json
import sys

import numpy as np
import torch
import transformers

POSITIONS, STRIDE = 64, 127  # every 127th token of the vocabulary

model, ids_file, out = sys.argv[1:]
ids = np.array(json.load(open(ids_file, encoding="utf-8"))[:POSITIONS], np.int32)
with torch.no_grad():
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32,
                                                                attn_implementation="eager").eval()
    logits = network(torch.tensor([ids.tolist()])).logits[0].numpy()[:, ::STRIDE].copy()
header = json.dumps({"ids": {"dtype": "I32", "shape": [len(ids)], "data_offsets": [0, ids.nbytes]},
                     "logits": {"dtype": "F32", "shape": list(logits.shape),
                                "data_offsets": [ids.nbytes, ids.nbytes + logits.nbytes]}}).encode()
header += b" " * (-len(header) % 8)
with open(out, "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header + ids.tobytes() + logits.tobytes())
