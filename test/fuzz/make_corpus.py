#!/usr/bin/env python3
"""Writes the first inputs of each fuzz target: valid files, as small as they can be.

    make_corpus.py [FOLDER]      FOLDER is test/fuzz/corpus unless given; needs nothing but Python

Everything follows from this script and from test/data. The names begin with "seed-"; other files of a
corpus are inputs that once had a finding, and are kept as they were found. Parts of an input, such as two
files, are divided by a line "#part#".
"""

import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")
BETWEEN = b"\n#part#\n"
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "I32": 4, "I64": 8}
FILL = b"\x3c"  # 1 or a small number in every type of floats, 0x3c3c... in integers


def parts(*contents):
    return BETWEEN.join(c if isinstance(c, bytes) else json.dumps(c).encode() for c in contents)


def elements(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def safetensors(tensors, metadata=None):
    """The tensors of a list (name, dtype, shape, data), or without data."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, *values in tensors:
        these = values[0] if values else FILL * (elements(shape) * WIDTHS[dtype])
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(these)]}
        data += these
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# GGUF: numbers of value types, and of tensor types with the values and bytes of a block.
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
CODES = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
BLOCKS = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
          "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
          "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136), "Q2_K": (10, 256, 84)}


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(kind, x):
    if kind == STRING:
        return string(x)
    if kind == ARRAY:
        inner, values = x
        return struct.pack("<IQ", inner, len(values)) + b"".join(value(inner, v) for v in values)
    return struct.pack("<" + CODES[kind], x)


def padded(data, alignment):
    return data + b"\0" * (-len(data) % alignment)


def gguf(pairs, tensors, version=3, alignment=32):
    """pairs (key, type, value), tensors (name, type, shape with the innermost axis last)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, x in pairs:
        out += string(key) + struct.pack("<I", kind) + value(kind, x)
    data = b""
    for name, kind, shape in tensors:
        number, values, size = BLOCKS[kind]
        data = padded(data, alignment)
        out += string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape[::-1])
        out += struct.pack("<IQ", number, len(data))
        data += FILL * (elements(shape) // values * size)
    return padded(out, alignment) + data


def stores():
    plain = [("a", "F32", (2, 2)), ("b", "I64", (1,)), ("c", "BF16", (0, 3)), ("d", "U8", ())]
    yield "safetensors", "plain", safetensors(plain, {"format": "pt", "key": "a \"text\""})
    yield "safetensors", "empty", safetensors([])
    yield "safetensors", "axes", safetensors([("x", "F16", (1, 1, 2, 1, 1, 1, 1, 1))])
    index = {"metadata": {"total_size": 24}, "weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    yield "index", "two", parts(index, safetensors([("x", "F32", (2,))]), safetensors([("y", "F16", (2, 2))]))
    yield "index", "one", parts({"weight_map": {"x": "a.safetensors"}}, safetensors([("x", "I8", (3,))]))
    numbers = [("k.%d" % kind, kind, 1) for kind in CODES]
    lists = [("l.%d" % kind, ARRAY, (kind, [0, 1])) for kind in CODES]
    texts = [("general.architecture", STRING, "test"), ("texts", ARRAY, (STRING, ["a", "\u00e9\"\n", ""]))]
    yield "gguf", "metadata", gguf(texts + numbers + lists, [])
    yield "gguf", "tensors", gguf(texts, [("a.weight", "Q8_0", (2, 32)), ("b", "F32", (3,)), ("c", "F16", (1, 2, 3))])
    yield "gguf", "version-2", gguf([("general.alignment", U32, 64)], [("x", "F32", (1,)), ("y", "F32", (1,))],
                                    version=2, alignment=64)


def json_texts():
    yield "json", "values", b'{"a": [1, -2.5e-3, true, false, null, "\\u00e9\\ud83d\\ude00\\n"], "b": {"": []}}'
    yield "json", "numbers", b"[0, -0, 1e22, 123456789012345678, 0.1, 1e-400, 4.9e-324, 1.7976931348623157e308]"
    yield "json", "deep", b"[" * 20 + b"]" * 20
    yield "json", "utf-8", '["\u00e9\u4e2d\U0001f600\u0000"]'.replace("\0", "\\u0000").encode()


def group_scheme(bits, form, group=16, symmetric=True, activations=None):
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel",
               "group_size": group, "actorder": None, "dynamic": False}
    return {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "format": form,
                                          "input_activations": activations, "output_activations": None}}}


def matrices():
    n, k, group = 8, 32, 16
    groups = k // group
    codes = bytes(range(n * k // 2))
    halves = b"\0\x3c" * (n * groups)
    settings = {"version": 1, "bits": 4, "k": k, "group": group, "activations": "f32"}
    packed = [("m.codes", "U8", (n, k // 2), codes), ("m.scales", "F16", (n, groups), halves)]
    yield "ptq", b"", safetensors(packed, {"m": json.dumps(settings)})
    more = [("m.zeros", "U8", (n, groups), b"\7" * (n * groups)), ("m.input_scale", "F32", (k,)),
            ("m.order", "I32", (k,), struct.pack("<32i", *range(k)[::-1]))]
    yield "ptq-more", b"", safetensors(packed + more, {"m": json.dumps({**settings, "activations": "int8-token"})})
    minima = [("m.minima", "F32", (n, groups)), ("m.g_idx", "I32", (k,), struct.pack("<32i", *[0, 1] * 16))]
    yield "ptq-minima", b"", safetensors(packed + minima, {"m": json.dumps({**settings, "version": 2})})
    levels = [("m.levels", "I8", (16,), struct.pack("<16b", *range(-64, 64, 8)))]
    yield "ptq-levels", b"", safetensors(packed + levels, {"m": json.dumps({**settings, "version": 2})})
    two = [("m.codes", "U8", (n, k // 2), codes), ("m.scales", "F16", (n, groups), halves), ("m.row_scales", "F32", (n,))]
    yield "ptq-two-level", b"", safetensors(two, {"m": json.dumps({**settings, "activations": "int8-static",
                                                                    "activation_scale": 0.5, "rotation": 32})})
    large = [("m.codes", "U8", (1, 128), bytes(range(128))), ("m.scales", "F32", (1, 8)),
             ("m.minima", "F32", (1, 8)), ("m.super_scales", "F32", (1, 1)), ("m.super_minima", "F32", (1, 1))]
    yield "ptq-super", b"", safetensors(large, {"m": json.dumps({**settings, "version": 5, "k": 256, "group": 32})})
    for bits in (2, 3, 4, 8):
        gptq = [("m.qweight", "I32", (k * bits // 32, n)), ("m.qzeros", "I32", (groups, (n * bits + 31) // 32)),
                ("m.scales", "F16", (groups, n), halves),
                ("m.g_idx", "I32", (k,), struct.pack("<32i", *[i // group for i in range(k)]))]
        config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": False, "sym": True,
                  "checkpoint_format": "gptq_v2" if bits == 2 else "gptq", "meta": {"quantizer": ["gptqmodel:4.0"]}}
        yield "gptq-%d" % bits, config, safetensors(gptq)
    order = gptq[:3] + [("m.g_idx", "I32", (k,), struct.pack("<32i", *[0, 1] * 16))]
    yield "gptq-order", {**config, "desc_act": True}, safetensors(order)
    awq = [("m.qweight", "I32", (k, n // 8)), ("m.qzeros", "I32", (groups, n // 8)), ("m.scales", "F16", (groups, n), halves)]
    yield "awq", {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}, \
        safetensors(awq)
    shape = struct.pack("<2q", n, k)
    words = [("m.weight_packed", "I32", (n, k // 8)), ("m.weight_shape", "I64", (2,), shape),
             ("m.weight_scale", "BF16", (n, groups))]
    yield "ct-packed", group_scheme(4, "pack-quantized"), safetensors(words)
    zero = words + [("m.weight_zero_point", "I32", (n * 4 // 32, groups)),
                    ("m.weight_g_idx", "I32", (k,), struct.pack("<32i", *[0, 1] * 16))]
    yield "ct-zero", group_scheme(4, "pack-quantized", symmetric=False), safetensors(zero)
    dynamic = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
    static = {**dynamic, "strategy": "tensor", "dynamic": False}
    plain = [("m.weight", "I8", (n, k)), ("m.weight_scale", "F32", (n, 1))]
    yield "ct-dynamic", group_scheme(8, "int-quantized", None, activations=dynamic), safetensors(plain)
    yield "ct-static", group_scheme(8, "int-quantized", None, activations=static), \
        safetensors(plain + [("m.input_scale", "F32", (1,)), ("m.input_zero_point", "I8", (1,))])
    for kind in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "Q2_K"):
        yield "gguf-" + kind, b"", gguf([], [("m.weight", kind, (2, BLOCKS[kind][1]))])


# The models of test/data/architectures in a smaller size: what becomes of the sizes of tensors, and of the
# settings. They have one block, 2 heads of 4 numbers, a hidden size of 8 and 16 tokens.
SIZES = {48: 8, 24: 4, 80: 8, 64: 8, 32: 4, 16: 4, 96: 16, 160: 16, 144: 24, 192: 32, 1024: 16, 40: 4, 7: 2, 6: 2,
         50: 10, 12: 4, 20: 4, 3: 1}
HEADS = {4: 2, 2: 1}
SETTINGS = {"hidden_size": SIZES, "intermediate_size": SIZES, "moe_intermediate_size": SIZES, "vocab_size": SIZES,
            "head_dim": SIZES, "n_embd": SIZES, "n_inner": SIZES, "ffn_dim": SIZES, "word_embed_proj_dim": SIZES,
            "num_attention_heads": HEADS, "n_head": HEADS, "num_key_value_heads": HEADS, "num_local_experts": SIZES,
            "num_experts": SIZES, "num_experts_per_tok": {3: 2}, "num_hidden_layers": {3: 1, 4: 1},
            "n_layer": {3: 1}, "max_position_embeddings": {48: 8}, "n_positions": {48: 8}, "n_ctx": {48: 8},
            "pad_token_id": {}}
LARGEST_EXPERT = 2


def smaller(config):
    out = {}
    for name, x in config.items():
        if isinstance(x, dict):
            x = smaller(x)
        elif name == "layer_types":
            x = x[:1]
        elif name in ("short_factor", "long_factor"):
            x = x[:1]
        elif name in SETTINGS and not isinstance(x, bool):
            x = SETTINGS[name].get(x, x)
        out[name] = x
    return out


def is_kept(name):
    names = name.split(".")
    number = int(names[names.index("experts") + 1]) if "experts" in names else 0
    blocks = [int(part) for part in names if part.isdigit()]
    return number < LARGEST_EXPERT and (not blocks or blocks[0] == 0)


def models():
    for name in sorted(os.listdir(os.path.join(DATA, "architectures"))):
        folder = os.path.join(DATA, "architectures", name)
        config = smaller(json.load(open(os.path.join(folder, "config.json"), encoding="utf-8")))
        tensors = []
        for line in open(os.path.join(folder, "tensors.txt"), encoding="utf-8"):
            tensor, _, _, *shape = line.split()
            if is_kept(tensor):
                tensors.append((tensor, "BF16", [SIZES[int(size)] for size in shape]))
        text = json.dumps(config, separators=(",", ":"))
        yield "model", name, parts(text.encode(), safetensors(tensors))
        if name == "llama":
            yield "model", "llama-quantized", parts(*quantized(config, tensors))


def quantized(config, tensors):
    """The same model with a matrix in the format gptq and others in that of compressed-tensors' int8."""
    settings = group_scheme(8, "int-quantized", None)
    out = []
    for name, dtype, shape in tensors:
        if "_proj.weight" in name:
            out += [(name, "I8", shape), (name + "_scale", "BF16", (shape[0], 1))]
        else:
            out.append((name, dtype, shape))
    return {**config, "quantization_config": settings}, safetensors(out)


class Reader:
    """The header of a GGUF file."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.take(8)
        tensors, pairs = self.number("Q"), self.number("Q")
        self.pairs, self.tensors = [], []
        for _ in range(pairs):
            key, kind = self.text(), self.number("I")
            self.pairs.append((key, kind, self.value(kind)))
        for _ in range(tensors):
            name, axes = self.text(), self.number("I")
            self.tensors.append((name, [self.number("Q") for _ in range(axes)][::-1]))
            self.take(12)

    def take(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]

    def text(self):
        return self.take(self.number("Q")).decode()

    def value(self, kind):
        if kind == ARRAY:
            inner = self.number("I")
            return inner, [self.value(inner) for _ in range(self.number("Q"))]
        return self.text() if kind == STRING else self.number(CODES[kind])


GGUF_SETTINGS = {"embedding_length": SIZES, "feed_forward_length": SIZES, "expert_feed_forward_length": SIZES,
                 "block_count": {3: 1}, "head_count": HEADS, "head_count_kv": HEADS, "key_length": SIZES,
                 "value_length": SIZES, "vocab_size": SIZES, "expert_count": SIZES, "expert_used_count": {3: 2},
                 "dimension_count": {12: 4, 6: 2}}


def gguf_models():
    tokens = ["<unk>", "<s>", "</s>", "\u2581", "H", "e", "l", "o", "\u2581H", "ll", "ello", "w", "r", "d", "1", "!"]
    tokenizer = [("tokenizer.ggml.model", STRING, "llama"), ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
                 ("tokenizer.ggml.scores", ARRAY, (F32, [-float(i) for i in range(16)])),
                 ("tokenizer.ggml.token_type", ARRAY, (I32, [2, 3, 3] + [1] * 13)),
                 ("tokenizer.ggml.bos_token_id", U32, 1), ("tokenizer.ggml.eos_token_id", U32, 2),
                 ("tokenizer.ggml.unknown_token_id", U32, 0)]
    for file in sorted(os.listdir(os.path.join(DATA, "gguf"))):
        header = Reader(open(os.path.join(DATA, "gguf", file), "rb").read())
        pairs = [(key, kind, x if key.split(".")[-1] not in GGUF_SETTINGS else
                  GGUF_SETTINGS[key.split(".")[-1]].get(x, x)) for key, kind, x in header.pairs]
        pairs = [(key, kind, 8 if key.endswith("context_length") and x == 48 else x) for key, kind, x in pairs]
        tensors = [(name, "F32" if len(shape) == 1 else "F16", [SIZES[size] for size in shape])
                   for name, shape in header.tensors if not name.startswith(("blk.1.", "blk.2."))]
        name = file[: -len(".header")]
        yield "gguf_model", name, gguf(pairs + (tokenizer if name == "llama" else []), tensors)
    letters = [chr(c) for c in list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))]
    letters += [chr(256 + i) for i in range(256 - len(letters))]
    for scheme in ("gpt-2", "llama-bpe", "qwen2"):
        yield "gguf_model", "tokenizer-" + scheme, gguf(
            [("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, scheme),
             ("tokenizer.ggml.tokens", ARRAY, (STRING, letters + ["He", "ll", "<s>"])),
             ("tokenizer.ggml.token_type", ARRAY, (I32, [1] * 258 + [3])),
             ("tokenizer.ggml.merges", ARRAY, (STRING, ["H e", "l l"])), ("tokenizer.ggml.bos_token_id", U32, 258),
             ("tokenizer.ggml.add_bos_token", BOOL, 1)], [])
    llama = Reader(open(os.path.join(DATA, "gguf", "llama.header"), "rb").read())
    sizes = {48: 32, 24: 32, 80: 32, 96: 4}
    change = {"block_count": 1, "embedding_length": 32, "feed_forward_length": 32, "head_count": 1, "head_count_kv": 1,
              "context_length": 8, "key_length": 32, "value_length": 32, "vocab_size": 4, "dimension_count": 32}
    pairs = [(key, kind, change.get(key.split(".")[-1], x)) for key, kind, x in llama.pairs]
    types = iter(["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q4_0", "Q4_0"])
    tensors = [(name, "F32" if len(shape) == 1 else next(types), [sizes[size] for size in shape])
               for name, shape in llama.tensors if not name.startswith(("blk.1.", "blk.2."))]
    yield "gguf_model", "quantized", gguf(pairs, tensors)


def tokenizers():
    recorded = json.load(open(os.path.join(DATA, "tokenizers.json"), encoding="utf-8"))
    text = "the in\u00e9 \u4e2d 12 <s> THE".encode()
    for case in recorded["cases"]:
        model = dict(recorded["models"][case["model"]])
        if isinstance(model["vocab"], list):
            model["vocab"] = model["vocab"][:40]
        elif case["model"] != "bytes":
            kept = [t for t in model["vocab"] if not t.startswith("<0x") or t < "<0x08>"]
            model["vocab"] = {t: i for i, t in enumerate(kept)}
        tokenizer = {**case["tokenizer"], "model": {**case["options"], **model}}
        name = "".join(c if c.isalnum() else "-" for c in case["name"]).lower()
        packed = json.dumps(tokenizer, separators=(",", ":"), ensure_ascii=False).encode()
        yield "tokenizer", name, parts(packed, text)


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello", "reasoning": "why"}]


def templates():
    recorded = json.load(open(os.path.join(DATA, "chat.json"), encoding="utf-8"))
    variables = {"messages": MESSAGES, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>",
                 "tools": None, "x": [3, 1, 2], "d": {"a": 1, "b": None}, "s": " Text ", "f": -2.5}
    short = [e["template"] for e in recorded["expressions"]]
    for i in range(0, len(short), 40):  # a few templates of all kinds in one
        together = "".join(short[i : i + 40 : 5])
        if len(together) < 3000:
            yield "jinja", "expressions-%d" % i, parts(together.encode(), variables)
    models_of = recorded["models"]
    for name, model in (models_of.items() if isinstance(models_of, dict) else enumerate(models_of)):
        template = model["template"] if isinstance(model, dict) else model
        if isinstance(template, str) and len(template) < 3500:
            yield "jinja", "model-%s" % name, parts(template.encode(), variables)
    simple = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m['content'] | trim }}{% endfor %}" \
             "{% if add_generation_prompt %}<assistant>{% endif %}"
    lines = "\n".join(json.dumps(x) for x in ({"messages": MESSAGES}, {"text": "aaa"})).encode()
    config = {"chat_template": simple, "bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    yield "chat", "config", parts(config, {"unk_token": "<unk>"}, lines)
    several = {"chat_template": [{"name": "default", "template": simple}, {"name": "tool_use", "template": "x"}],
               "added_tokens_decoder": {}}
    yield "chat", "several", parts(several, {}, lines)


def gguf_tokenizers():
    """What becomes metadata of a GGUF file: tokenizer.json, tokenizer_config.json, tokenizer.model."""
    added = [{"id": 2, "content": "<s>", "special": True}, {"id": 3, "content": "\u2581x", "special": False}]
    split = {"type": "Split", "pattern": {"Regex": "\\p{N}"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
                "pair": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"Sequence": {"id": "B"}}]}
    config = {"bos_token": {"content": "<s>"}, "add_eos_token": False, "chat_template": "{{ x }}"}
    for name, pieces in (("gpt-2", [level]), ("smollm", [split, level])):
        yield "gguf_tokenizer", name, parts(
            {"added_tokens": added, "pre_tokenizer": {"type": "Sequence", "pretokenizers": pieces},
             "post_processor": template,
             "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b", ["a", "b c"]]}}, config, b"")
    spaces = {"added_tokens": added, "normalizer": {"type": "Prepend", "prepend": "\u2581"}, "post_processor": template,
              "model": {"type": "BPE", "byte_fallback": True, "unk_token": "a",
                        "vocab": {"a": 0, "<0x0A>": 1, "ab": 4, "b": 5}, "merges": ["a b"]}}
    yield "gguf_tokenizer", "merges", parts(spaces, config, b"")
    piece = b"\x0a\x01a" + b"\x15" + struct.pack("<f", -1.5) + b"\x18\x01"
    more = b"\x0a\x06<0x0A>" + b"\x15" + struct.pack("<f", -2.5) + b"\x18\x06"
    model = b"".join(b"\x0a" + bytes([len(x)]) + x for x in (piece, more)) + b"\x12\x02\x18\x02"
    decoder = {**config, "added_tokens_decoder": {"2": added[0]}, "chat_template": [{"name": "a", "template": "b"}]}
    yield "gguf_tokenizer", "sentencepiece", parts(spaces, decoder, model)


def statistics():
    k = 4
    counts = struct.pack("<2i", 1, 7) + struct.pack("<qdqq", 3, 3.0, 1, 2)
    zeros, ones = b"\0" * 4 * k, struct.pack("<4f", *[1.0] * k)
    square = struct.pack("<16f", *[1.0 + 3.0 * (i % 5 == 0) for i in range(16)])
    tensors = [("counts", "I32", (10,), counts), ("minimum", "F32", (k,), zeros), ("maximum", "F32", (k,), ones),
               ("sum_abs", "I32", (k, 2), struct.pack("<4d", *[2.0] * k))]
    yield "stats", "all", safetensors(tensors + [("hessian", "F32", (k, k), square), ("mismatch", "F32", (k, k), square),
                                                 ("sample", "F32", (2, k), ones * 2), ("extremes", "F32", (1, k), ones)])
    plain = [("counts", "I32", (10,), struct.pack("<2i", 1, 0) + counts[8:32] + struct.pack("<q", 0))] + tensors[1:]
    yield "stats", "ranges", safetensors(plain)


def linears():
    """Headers, whose magic number, checksum and layout the target sets, and some contents."""
    def header(k, group, activations, form, bits=4, scale=4, zeros=0, scales=0, order=0, minima=0, levels=0):
        words = struct.pack("<4sIQq", b"ptql", 3, 0, 0) + struct.pack("<3q", 5, k, group)
        words += struct.pack("<if", activations, 0.5) + struct.pack("<4i", 0, bits, scale, 8 if not zeros else 0)
        words += struct.pack("<4i", zeros, scales, order, 0) + b"\0" * 16 + struct.pack("<3i", form, minima, levels)
        return words + bytes(range(16)) + struct.pack("<i", 0) + b"\0" * 56

    columns = struct.pack("<32i", *range(32))
    ones = struct.pack("<32f", *[1.0] * 32)
    for activations in range(1, 4):
        yield "packed", "panels-%d" % activations, header(32, 32, activations, 0) + FILL * 300
        yield "packed", "general-%d" % activations, header(32, 16, activations, 3, minima=1) + struct.pack("<2i", 16, 32)
    for form in (1, 2):
        yield "packed", "words-%d" % form, header(32, 16, 0, form, minima=form - 1) + b"\0" * 128 + FILL * 300
        yield "packed", "words-1-%d" % form, header(32, 16, 1, form, minima=form - 1) + b"\0" * 128 + FILL * 300
    yield "packed", "two-level", header(32, 32, 2, 0, scale=1, zeros=1) + FILL * 300
    yield "packed", "order", header(32, 32, 2, 0, scale=2, scales=1, order=1) + ones + columns + FILL * 200


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    inputs = [*stores(), *json_texts(), *models(), *gguf_models(), *tokenizers(), *gguf_tokenizers(), *templates(),
              *statistics(), *linears()]
    inputs += [("format", name, parts(config, store)) for name, config, store in matrices()]
    for target, name, contents in inputs:
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        with open(os.path.join(folder, target, "seed-" + name), "wb") as out:
            out.write(contents)


main()
