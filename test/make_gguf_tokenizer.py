#!/usr/bin/env python3
"""Records test/data/sentencepiece.gguf: the tokenizer of a small SentencePiece model as llama.cpp's converter stores
it, texts, and the ids that sentencepiece gives for them.

    PYTHONPATH=LLAMA.CPP/gguf-py make_gguf_tokenizer.py OUT      needs sentencepiece

The model is trained on examples/calib-tiny.txt. test.texts are texts, test.ids lists of ids as JSON.
"""

import json
import os
import sys
import tempfile

import gguf
import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = [
    "Hello, world!", "", " ", "   three leading spaces", "trailing   ", "tab\tand\n\n\nnewlines\r\n", "1234567 89",
    "\u65e5\u672c\u8a9e and \U0001f600", "na\u00efve caf\u00e9", "the the the", "\u2581x", "aaaaaaaaaaaaaaaa",
    "a river in the north of England , which was built in 1845", "CamelCaseIdentifier_with_underscores",
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "model")
        sentencepiece.SentencePieceTrainer.train(
            input=os.path.join(HERE, "..", "examples", "calib-tiny.txt"), model_prefix=prefix, vocab_size=640,
            model_type="bpe", byte_fallback=True, character_coverage=0.9995, split_digits=True,
            allow_whitespace_only_pieces=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            minloglevel=2)
        model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    ids = range(model.vocab_size())
    kinds = [2 if model.IsUnknown(i) else 3 if model.IsControl(i) else 6 if model.IsByte(i) else 1 for i in ids]
    w = gguf.GGUFWriter(sys.argv[1], "llama")
    w.add_tokenizer_model("llama")
    w.add_token_list([model.IdToPiece(i) for i in ids])
    w.add_token_scores([model.GetScore(i) for i in ids])
    w.add_token_types(kinds)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_array("test.texts", TEXTS)
    w.add_array("test.ids", [json.dumps(model.encode(text)) for text in TEXTS])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
