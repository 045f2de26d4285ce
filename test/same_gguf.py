#!/usr/bin/env python3
"""Compares two GGUF files: same_gguf.py A B [--but KEY]... Metadata are compared as sets of key, type and value,
tensors by name, type, shape and bytes. Prints what differs, up to 20 lines, and exits with 1 if anything does."""
import struct
import sys

FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# Values and bytes of a block, by type.
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
          12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136)}


class Reader:
    def __init__(self, path):
        self.data, self.at = open(path, "rb").read(), 4
        version, tensors, pairs = self.take("<IQQ")
        assert self.data[:4] == b"GGUF" and version == 3, path
        self.pairs = {}
        for _ in range(pairs):
            key = self.text()
            kind, = self.take("<I")
            self.pairs[key] = (kind, self.value(kind))
        self.tensors = dict(self.tensor() for _ in range(tensors))
        alignment = self.pairs.get("general.alignment", (4, 32))[1]
        begin = (self.at + alignment - 1) // alignment * alignment
        for name, (shape, kind, offset) in self.tensors.items():
            values, size = BLOCKS[kind]
            count = 1
            for axis in shape:
                count *= axis
            length = count // values * size
            assert begin + offset + length <= len(self.data), name
            self.tensors[name] = (shape, kind, self.data[begin + offset:begin + offset + length])

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def text(self):
        length, = self.take("<Q")
        self.at += length
        return self.data[self.at - length:self.at].decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.take("<IQ")
            return (inner, tuple(self.value(inner) for _ in range(count)))
        return self.take("<" + FORMATS[kind])[0]

    def tensor(self):
        name = self.text()
        axes, = self.take("<I")
        shape = self.take(f"<{axes}Q")
        kind, offset = self.take("<IQ")
        return name, (shape, kind, offset)


def shortened(value):
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def differences(a, b, left_out):
    for key in sorted(set(a.pairs) | set(b.pairs)):
        if key not in left_out and a.pairs.get(key) != b.pairs.get(key):
            yield f"{key}: {shortened(a.pairs.get(key))}, {shortened(b.pairs.get(key))}"
    for name in sorted(set(a.tensors) | set(b.tensors)):
        if name not in a.tensors or name not in b.tensors:
            yield f"{name}: only in one"
        elif a.tensors[name][:2] != b.tensors[name][:2]:
            yield f"{name}: {a.tensors[name][:2]}, {b.tensors[name][:2]}"
        elif a.tensors[name][2] != b.tensors[name][2]:
            yield f"{name}: other bytes"


def main():
    left_out = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "--but"]
    found = list(differences(Reader(sys.argv[1]), Reader(sys.argv[2]), left_out))
    for line in found[:20]:
        print(line)
    sys.exit(bool(found))


main()
