#!/usr/bin/env python3
"""Records the logits of small random models, as transformers computes them, for test/test_architectures.c.

    architectures.py [NAME...]      needs torch 2.13.0 and transformers; writes test/data/architectures/NAME/

Weights are not stored: both sides compute them from the tensor's name. transformers' own initialization
would hide faults (biases 0, norms 1, nearly even attention), so here every tensor has a center and a
spread of its own, and the scores of attention have a spread of several units. For each feature the logits
without it must differ by more than 1e-2 of the largest; this script ends with an error if they do not.
"""

import json
import os
import sys

import numpy as np
import torch
import transformers

FOLDER = os.path.join(os.path.dirname(__file__), "data", "architectures")
COMMON = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
          "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 24,
          "tie_word_embeddings": False}
TOKENS = 40  # more than the windows and the original positions below


def rope(**members):
    return {"rope_parameters": {"rope_theta": 1000.0, **members}}


def longrope(part, short, long, original=16):
    return {"max_position_embeddings": 64, "original_max_position_embeddings": original,
            "pad_token_id": 0, "rope_parameters": {
                "rope_type": "longrope", "rope_theta": 1000.0, "partial_rotary_factor": part,
                "short_factor": short, "long_factor": long}}


GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": 8, "attention_bias": True,
         "tie_word_embeddings": True, "layer_types": ["sliding_attention", "full_attention",
                                                      "sliding_attention"]}
GEMMA3_ROPE = {"rope_parameters": {
    "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}}

MIXTRAL = {"num_local_experts": 6, "num_experts_per_tok": 2, "intermediate_size": 40}
QWEN3_MOE = {"num_experts": 7, "num_experts_per_tok": 3, "moe_intermediate_size": 40, "head_dim": 16}
# The vocabulary of examples/llama-tiny, with whose tokenizer command.sh runs it.
TALKING = {**QWEN3_MOE, "vocab_size": 1024, "max_position_embeddings": 256, "tie_word_embeddings": True}
SPARSE = {**QWEN3_MOE, "num_hidden_layers": 4, "attention_bias": True, "use_sliding_window": True,
          "sliding_window": 6}

# By name: the model_type, its settings, and the settings that switch a feature off.
MODELS = {
    "llama": ("llama", {}, []),
    "llama-linear": ("llama", rope(rope_type="linear", factor=2.5), [rope(rope_type="default")]),
    "llama-dynamic": ("llama", rope(rope_type="dynamic", factor=3.0), [rope(rope_type="default")]),
    "llama-llama3": ("llama", rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                   original_max_position_embeddings=16), [rope(rope_type="default")]),
    "llama-yarn": ("llama", rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
                   [rope(rope_type="default"),
                    rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16,
                         attention_factor=1.0)]),
    "llama-yarn-mscale": ("llama", rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16,
                                        beta_fast=8.0, beta_slow=2.0, mscale=1.5, mscale_all_dim=0.5,
                                        truncate=False),
                          [rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)]),
    "llama-bias": ("llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 20}, []),
    "mistral": ("mistral", {"sliding_window": 9}, [{"sliding_window": None}]),
    "qwen2": ("qwen2", {}, []),
    "qwen2-window": ("qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
                     [{"use_sliding_window": False, "sliding_window": 7, "max_window_layers": 1}]),
    "qwen3": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}, []),
    "qwen3-window": ("qwen3", {"head_dim": 16, "attention_bias": True, "use_sliding_window": True,
                               "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention",
                                                                    "sliding_attention"]},
                     [{"head_dim": 16, "attention_bias": True, "use_sliding_window": False}]),
    "gemma2": ("gemma2", {**GEMMA, "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0},
               [{**GEMMA, "attn_logit_softcapping": None, "final_logit_softcapping": 3.0},
                {**GEMMA, "attn_logit_softcapping": 4.0, "final_logit_softcapping": None},
                {**GEMMA, "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0,
                 "query_pre_attn_scalar": 16},
                {**GEMMA, "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0,
                 "sliding_window": 100}]),
    "gemma3": ("gemma3_text", {**GEMMA, **GEMMA3_ROPE},
               [{**GEMMA, "rope_parameters": {**GEMMA3_ROPE["rope_parameters"],
                                              "sliding_attention": GEMMA3_ROPE["rope_parameters"]["full_attention"]}},
                {**GEMMA, **GEMMA3_ROPE, "sliding_window": 100}]),
    "phi3": ("phi3", {"sliding_window": 11, "pad_token_id": 0}, [{"sliding_window": None, "pad_token_id": 0}]),
    "phi3-longrope": ("phi3", longrope(0.5, [1.0, 1.5, 2.0], [2.0, 3.0, 5.0]),
                      [longrope(0.5, [1.0, 1.5, 2.0], [1.0, 1.5, 2.0]), longrope(1.0, [1.0] * 6, [2.0] * 6)]),
    "phi3-short": ("phi3", longrope(0.5, [1.0, 1.5, 2.0], [2.0, 3.0, 5.0], 60),
                   [longrope(0.5, [2.0, 3.0, 5.0], [2.0, 3.0, 5.0], 60)]),
    "gpt2": ("gpt2", {"max_position_embeddings": 48, "n_inner": 80}, []),
    "gpt2-tied": ("gpt2", {"max_position_embeddings": 48, "tie_word_embeddings": True}, []),
    "bloom": ("bloom", {}, []),
    "mixtral": ("mixtral", {**MIXTRAL, "sliding_window": 9},
                [MIXTRAL, {**MIXTRAL, "sliding_window": 9, "num_experts_per_tok": 3}]),
    "qwen3-moe": ("qwen3_moe", {**TALKING, "norm_topk_prob": True},
                  [TALKING, {**TALKING, "norm_topk_prob": True, "num_experts_per_tok": 2}]),
    "qwen3-moe-sparse": ("qwen3_moe", {**SPARSE, "decoder_sparse_step": 2, "mlp_only_layers": [3]},
                         [{**SPARSE, "mlp_only_layers": [3]}, {**SPARSE, "decoder_sparse_step": 2},
                          {**SPARSE, "decoder_sparse_step": 2, "mlp_only_layers": [3],
                           "use_sliding_window": False}]),
    "opt": ("opt", {"max_position_embeddings": 48, "ffn_dim": 80, "tie_word_embeddings": True,
                    "pad_token_id": 1}, []),
}


def uniform(name, count):
    """Numbers in [-1, 1) by splitmix64, from the FNV-1a hash of the name."""
    h = 14695981039346656037
    for byte in name.encode():
        h = (h ^ byte) * 1099511628211 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def center_and_spread(name, tensor, plus_one):
    """Both as numbers that decimal text gives exactly."""
    if name.endswith(".bias"):
        return 0.0, 0.5
    if tensor.ndim == 1:
        return (0.0 if plus_one else 1.0), 0.5  # norms
    if "embed" in name or "wte" in name or "wpe" in name:
        return 0.0, 1.5
    gain = 3.0 if any(part in name for part in ("q_proj", "k_proj", "qkv_proj", "c_attn", "query_key_value", ".gate.")) else 1.75
    columns = tensor.shape[0 if ".c_" in name else 1]  # GPT-2 stores [K][N]
    return 0.0, round(gain / columns ** 0.5, 4)


def stored(kind, name, tensor):
    """The tensors of a checkpoint that transformers joins to one when it loads it: names and parts."""
    router = "mlp.gate." if kind != "mixtral" else "block_sparse_moe.gate."
    if ".mlp.experts." not in name:
        return [(name.replace("mlp.gate.", router), tensor)]
    before = name[:name.index("mlp.experts.")] + router.replace("gate.", "experts.")
    gate, up, down = ("w1", "w3", "w2") if kind == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    parts = []
    for expert, matrix in enumerate(tensor):
        halves = zip((gate, up), matrix.chunk(2)) if "gate_up" in name else [(down, matrix)]
        parts += [(f"{before}{expert}.{part}.weight", half) for part, half in halves]
    return parts


def make(kind, settings, tensors):
    """A model with its weights, and what they were made of."""
    common = {k: v for k, v in COMMON.items()
              if kind not in ("gpt2", "opt", "bloom") or k not in ("intermediate_size", "num_key_value_heads")}
    config = transformers.AutoConfig.for_model(kind, **{**common, **settings})
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    seen = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        for part, values in stored(kind, name, tensor):
            center, spread = center_and_spread(part, values, "gemma" in kind)
            numbers = center + spread * uniform(part, values.numel())
            values.copy_(torch.from_numpy(numbers.astype(np.float32)).reshape(values.shape))
            seen[part] = (list(values.shape), center, spread)
    tensors.update(seen)
    return model


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def margin(model, ids):
    """The least difference between the router's logits of the last expert used and of the next one."""
    least = []

    def measure(module, _, output):
        ordered = torch.sort(output[0], -1, descending=True).values
        least.append((ordered[:, module.top_k - 1] - ordered[:, module.top_k]).min().item())

    for module in model.modules():
        if type(module).__name__.endswith("TopKRouter"):
            module.register_forward_hook(measure)
    logits_of(model, ids)
    return min(least, default=1.0)


def write(name, model, tensors, ids, logits):
    folder = os.path.join(FOLDER, name)
    os.makedirs(folder, exist_ok=True)
    model.config.save_pretrained(folder)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path, encoding="utf-8"))
    for member in ("transformers_version", "dtype", "architectures", "use_cache", "initializer_range"):
        config.pop(member, None)
    json.dump(config, open(path, "w", encoding="utf-8"), indent=1, sort_keys=True)
    with open(os.path.join(folder, "tensors.txt"), "w", encoding="utf-8") as out:
        for tensor, (shape, center, spread) in tensors.items():
            out.write(f"{tensor} {center} {spread} {' '.join(map(str, shape))}\n")
    header = {"ids": ("I32", [len(ids)], np.array(ids, np.int32)),
              "logits": ("F32", list(logits.shape), logits.astype(np.float32))}
    offset, described, data = 0, {}, b""
    for key, (dtype, shape, values) in header.items():
        described[key] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
        data += values.tobytes()
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "reference.safetensors"), "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text + data)


def record(name):
    kind, settings, without = MODELS[name]
    tensors = {}
    model = make(kind, settings, tensors)
    for first in range(len(name), 1000):
        ids = [(7 * i * i + 3 * i + first) % COMMON["vocab_size"] for i in range(TOKENS)]
        if margin(model, ids) > 1e-3:
            break
    else:
        sys.exit("every text leaves a choice of experts open")
    logits = logits_of(model, ids)
    for other in without:
        difference = np.abs(logits_of(make(kind, other, {}), ids) - logits).max() / np.abs(logits).max()
        print(f"{name}: without {other}: differs by {difference:.3f}")
        if difference < 1e-2:
            sys.exit("a feature that hardly matters")
    for part in ("bias", "q_norm", "k_norm", "post_attention_layernorm", "post_feedforward_layernorm"):
        named = [t for t in tensors if part in t]
        if not named:
            continue
        changed = make(kind, settings, {})
        for tensor in named:
            changed.state_dict()[tensor].fill_(0.0 if part == "bias" or "gemma" in kind else 1.0)
        difference = np.abs(logits_of(changed, ids) - logits).max() / np.abs(logits).max()
        print(f"{name}: with every {part} at its default: differs by {difference:.3f}")
        if difference < 1e-2:
            sys.exit("a feature that hardly matters")
    write(name, model, tensors, ids, logits)


for each in sys.argv[1:] or MODELS:
    record(each)
