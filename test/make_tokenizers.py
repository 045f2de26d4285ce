#!/usr/bin/env python3
"""Writes test/data/tokenizers.json: python3 test/make_tokenizers.py

Small made-up tokenizers, and the ids and decoded texts that the tokenizers library (pip install tokenizers)
gives for some texts. A tokenizer is a case's "tokenizer", with a "model" of "models" and the case's
"options".
"""
import json
import random

import tokenizers

ALPHABET = tokenizers.pre_tokenizers.ByteLevel.alphabet()
LETTERS = "abcdefghilmnoprstuvwxyzABE0123456789.,!'<>\n\u00e9\u4e2d\u0301\u00c5"
MERGES = [("t", "h"), ("th", "e"), ("\u2581", "the"), ("i", "n"), ("\u2581", "a"), ("e", "r"), ("\u2581", "\u2581"),
          ("\u2581\u2581", "\u2581\u2581"), ("1", "2"), ("a", "a"), ("aa", "aa"), ("\u2581a", "n"), ("'", "s"), ("in", "\n"),
          ("\u4e2d", "\u4e2d"), ("s", "\u2581")]
BYTE_MERGES = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("i", "n"), ("\u0120", "a"), ("e", "r"), ("\u010a", "\u010a"),
               ("\u0120", "\u0120"), ("1", "2"), ("a", "a"), ("aa", "aa"), ("\u0120a", "n"), ("E", "R"), ("\u00c3", "\u00a9"),
               ("2", "3")]


def number(tokens):
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def bpe(first, letters, merges, bytes_=()):
    tokens = first + [f"<0x{b:02X}>" for b in bytes_] + letters + [a + b for a, b in merges]
    return {"vocab": number(tokens + ["the in"]), "merges": [list(m) for m in merges]}


MODELS = {
    "pieces": bpe(["<unk>", "<s>", "</s>"], ["\u2581"] + list(LETTERS), MERGES, range(256)),
    "fewer bytes": bpe(["<unk>", "<s>", "</s>"], ["\u2581"] + list(LETTERS), MERGES, range(0xe0)),
    "joins bytes": bpe(["<unk>", "<s>", "</s>"], ["\u2581"] + list(LETTERS),
                       MERGES + [("<0x0D>", "<0x0D>"), ("x", "<unk>")], range(256)),
    "bytes": bpe([], sorted(ALPHABET), BYTE_MERGES),
}
# The scores make ways of the same sum, and unknown characters that are cheaper in a row.
PIECES = ["\u2581", "t", "h", "e", "th", "he", "the", "\u2581the", "\u2581t", "in", "i", "n", "\u2581in", "a", "aa", "aaaa", "s", "er", "r",
          "1", "2", "12", "\u4e2d", "\u4e2d\u6587", "\u00e9", "\n", ".", "'", "b", "x"]
UNIGRAM = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]] + [[p, -1.5 * (i % 5) - 1.25 - len(p) / 2] for i, p in enumerate(PIECES)]
MODELS["scores"] = {"vocab": UNIGRAM}
MODELS["scores and bytes"] = {"vocab": UNIGRAM + [[f"<0x{b:02X}>", -3.0] for b in range(256)]}
SPACE = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
PREPEND = {"type": "Prepend", "prepend": "\u2581"}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def sequence(name, *parts):
    return {"type": "Sequence", name: list(parts)}


def decoder(*more):
    return sequence("decoders", {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                    {"type": "ByteFallback"}, {"type": "Fuse"}, *more)


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def metaspace(scheme, split_):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split_}


def added(content, i, **flags):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def template(before, behind):
    items = [{"SpecialToken": {"id": t, "type_id": 0}} for t in before] + [{"Sequence": {"id": "A", "type_id": 0}}]
    items += [{"SpecialToken": {"id": t, "type_id": 0}} for t in behind]
    tokens = {t: {"id": t, "ids": [{"<s>": 1, "</s>": 2}[t]], "tokens": [t]} for t in before + behind}
    return {"type": "TemplateProcessing", "single": items, "pair": items + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": tokens}


CASES = []


def case(name, model, options=None, **tokenizer):
    CASES.append({"name": name, "model": model, "options": options or {},
                  "tokenizer": {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                                "post_processor": None, "decoder": BYTE_LEVEL if model == "bytes" else None, **tokenizer}})


def add_pieces():
    fallback = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    specials = [added(t, i) for i, t in enumerate(["<unk>", "<s>", "</s>"])]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    llama = {"normalizer": sequence("normalizers", PREPEND, SPACE), "decoder": decoder(strip),
             "post_processor": template(["<s>"], []), "added_tokens": specials}
    case("llama 2", "pieces", fallback, **llama)
    case("some bytes are missing", "fewer bytes", fallback, **llama)
    case("some bytes are missing, not fused", "fewer bytes", {**fallback, "fuse_unk": False}, **llama)
    case("bytes are merged", "joins bytes", fallback, **llama)
    case("no fallback, dropped", "pieces", {"type": "BPE"}, **llama)
    case("no fallback, no fusing", "pieces", {"type": "BPE", "unk_token": "<unk>"}, **llama)
    case("gemma", "pieces", fallback, normalizer=SPACE, decoder=decoder(), added_tokens=specials,
         pre_tokenizer={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
         post_processor=template(["<s>"], ["</s>", "</s>"]))
    case("mistral", "pieces", {**fallback, "ignore_merges": True}, added_tokens=specials, decoder=decoder(strip),
         normalizer=sequence("normalizers", SPACE, {"type": "Replace", "pattern": {"Regex": "\\A\u2581"},
                                                    "content": "\u2581\u2581"}),
         pre_tokenizer=sequence("pretokenizers", metaspace("always", False), split("\\[b_1\\]|\\[b\\]")))
    for scheme in "always", "first", "never":
        case(f"Metaspace, {scheme}", "pieces", fallback, pre_tokenizer=metaspace(scheme, True), added_tokens=specials,
             decoder=metaspace(scheme, True))
    case("normalized tokens", "pieces", fallback, **{**llama, "added_tokens": specials + [
        added("the", 999, normalized=True), added("In a", 1000, normalized=True, special=False)]})
    case("lower case", "pieces", fallback, normalizer=sequence("normalizers", {"type": "Lowercase"}, SPACE),
         added_tokens=[added("THE", 999, normalized=True)])
    for behavior in "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
        for invert in False, True:
            case(f"{behavior}, {invert}", "pieces", fallback, normalizer=SPACE,
                 pre_tokenizer=split("[a-e]|\u2581", behavior, invert))


def add_scores():
    specials = [added(t, i) for i, t in enumerate(["<unk>", "<s>", "</s>"])]
    parts = {"pre_tokenizer": metaspace("always", True), "decoder": metaspace("always", True), "added_tokens": specials}
    case("Unigram", "scores", {"type": "Unigram", "unk_id": 0, "byte_fallback": False}, **parts)
    case("Unigram, bytes", "scores and bytes", {"type": "Unigram", "unk_id": 0, "byte_fallback": True}, **parts)
    case("Unigram, bytes are missing", "scores", {"type": "Unigram", "unk_id": 0, "byte_fallback": True}, **parts)
    case("Unigram, whole text", "scores", {"type": "Unigram", "unk_id": 0, "byte_fallback": False}, normalizer=SPACE)


def add_bytes():
    whole = {"pre_tokenizer": BYTE_LEVEL, "decoder": BYTE_LEVEL}
    for form in "NFC", "NFD", "NFKC", "NFKD":
        case(form, "bytes", normalizer={"type": form}, **whole)
    case("flags", "bytes", **whole, added_tokens=[
        added("<s>", 999, lstrip=True, rstrip=True), added("in", 1000, single_word=True),
        added("the", 1001, single_word=True, normalized=True, rstrip=True)])
    case("digits", "bytes", pre_tokenizer=sequence("pretokenizers", {"type": "Digits", "individual_digits": False},
                                                   split("\\p{N}{1,2}"), BYTE_LEVEL))
    case("two byte levels", "bytes", pre_tokenizer=sequence("pretokenizers", {**BYTE_LEVEL, "use_regex": True}, BYTE_LEVEL))
    case("prefix space", "bytes", pre_tokenizer={**BYTE_LEVEL, "add_prefix_space": True, "use_regex": True},
         post_processor=sequence("processors", BYTE_LEVEL,
                                 {"type": "RobertaProcessing", "sep": ["t", 5], "cls": ["s", 6], "trim_offsets": True,
                                  "add_prefix_space": True},
                                 {"type": "BertProcessing", "sep": ["t", 7], "cls": ["s", 8]}))
    case("ignore_merges", "bytes", {"ignore_merges": True}, pre_tokenizer=sequence(
        "pretokenizers", split("the in|\\s+$|'(?i:[st]|er)|\\S++"), BYTE_LEVEL))


TEXTS = ["", " ", "the in", "  the in\nan  answer's  ", "THE \u00c5ngstr\u00f6m A\u030a e\u0301\u0316 \u1112\u1161\u11ab \ud55c \u0958 \u212b",
         "x<s>y <s>  the</s>in thein in. the  <s><s> x", "\u4e2d\u4e2d\u6587 \U0001f600\u0627\u0627\ue000\U000f0000 a\r\r\n", "12345 \u0663\u0664 \u00bd'ER'\u017f's",
         "\ufb01\u00bd\u1e9b\u0323 \u3300\uff21\U0001d7d9\u00a0\ufdfa",
         "aaaaaaa\u2581a \u00e9[b_1] [b][b_1\tIn a IN A"]


def random_text(r):
    return "".join(r.choice("aaee   thinsER12.'\n\u00e9\u0301\u4e2d\u6587\u2581\U0001f600\u00df") for _ in range(r.randint(5, 40)))


def record(c, r):
    model = {**c["options"], **MODELS[c["model"]]}
    if "merges" in model:
        model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                 "end_of_word_suffix": None, "fuse_unk": False, **model}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps({"truncation": None, "padding": None, **c["tokenizer"],
                                                          "model": model}))
    c["texts"] = []
    for text in TEXTS + [random_text(r) for _ in range(4)]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        c["texts"].append({"text": text, "ids": ids, "ids_template": tokenizer.encode(text).ids,
                           "decoded": tokenizer.decode(ids, skip_special_tokens=False)})


def main():
    r = random.Random(1)
    add_pieces()
    add_bytes()
    add_scores()
    for c in CASES:
        record(c, r)
    lines = ["{\"models\": {"]
    lines.append(",\n".join(f"{json.dumps(name)}: {json.dumps(model)}" for name, model in MODELS.items()))
    lines.append("},\n\"cases\": [")
    lines.append(",\n".join(json.dumps(c) for c in CASES))
    lines.append("]}\n")
    open("test/data/tokenizers.json", "w").write("\n".join(lines))


main()
