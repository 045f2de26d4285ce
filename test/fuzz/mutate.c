/*
 * Changes inputs for libFuzzer so that what they contain still has the lengths that it says: the
 * header of a safetensors file, and the strings of a GGUF file. Otherwise nearly every change ends
 * in the same message. One input in eight is changed without regard to its structure.
 */
#include <string.h>
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned int seed);

/* The bytes at, of size size, that may become `most`, or exactly stay as many if fixed. */
struct place {
    size_t at, size;
    int fixed;
};

static uint64_t read_number(const uint8_t *bytes, int width)
{
    uint64_t value = 0;
    while (width-- > 0)
        value = value << 8 | bytes[width];
    return value;
}

static void write_number(uint8_t *bytes, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Mutates a place in an input; what follows it moves. Returns the new size of the place. */
static size_t mutate_place(uint8_t *bytes, size_t *size, size_t most, struct place p)
{
    static uint8_t work[1 << 20];
    const size_t room = p.fixed ? p.size : p.size + (most - *size), behind = p.at + p.size;
    if (room > sizeof work || (p.fixed && !p.size))
        return p.size;
    memcpy(work, bytes + p.at, p.size);
    const size_t now = LLVMFuzzerMutate(work, p.size, room ? room : 1);
    if (now > room || (p.fixed && now != p.size))
        return p.size;
    memmove(bytes + p.at + now, bytes + behind, *size - behind);
    memcpy(bytes + p.at, work, now);
    *size += now - p.size;
    return now;
}

/* Makes the data as long as the largest of the offsets in the header. */
static size_t fit_data(uint8_t *bytes, size_t header, size_t size, size_t most)
{
    size_t wanted = 0, at = 8;
    for (; at < 8 + header; at++) {
        size_t number = 0;
        if (bytes[at - 1] != ',' && bytes[at - 1] != ' ')
            continue;
        while (at < 8 + header && bytes[at] >= '0' && bytes[at] <= '9' && number < most)
            number = number * 10 + (size_t)(bytes[at++] - '0');
        if (at < 8 + header && bytes[at] == ']' && number > wanted)
            wanted = number;
    }
    if (wanted > most - 8 - header)
        return size;
    if (8 + header + wanted > size)
        memset(bytes + size, 0x3c, 8 + header + wanted - size); /* a small number in all floats */
    return 8 + header + wanted;
}

static size_t mutate_safetensors(uint8_t *bytes, size_t size, size_t most, unsigned int seed)
{
    const uint64_t header = read_number(bytes, 8);
    if (header > size - 8)
        return LLVMFuzzerMutate(bytes, size, most);
    if (seed % 4 == 0) {
        mutate_place(bytes, &size, most, (struct place){8 + header, size - 8 - header, 0});
        return size;
    }
    const size_t now = mutate_place(bytes, &size, most, (struct place){8, (size_t)header, 0});
    write_number(bytes, now, 8);
    return seed % 4 == 1 ? size : fit_data(bytes, now, size, most);
}

/* A walk through the header of a GGUF file that stops at place number `wanted`. */
struct walk {
    const uint8_t *bytes;
    size_t at, size;
    uint64_t wanted, count;
    struct place place;
    int damaged;
};

static uint64_t take(struct walk *w, int width)
{
    if (w->damaged || w->size - w->at < (size_t)width) {
        w->damaged = 1;
        return 0;
    }
    w->at += (size_t)width;
    return read_number(w->bytes + w->at - width, width);
}

static void note(struct walk *w, size_t at, size_t size, int fixed)
{
    if (!w->damaged && w->count++ == w->wanted)
        w->place = (struct place){at, size, fixed};
}

static void walk_string(struct walk *w)
{
    const uint64_t length = take(w, 8);
    if (length > w->size - w->at)
        w->damaged = 1;
    else
        w->at += (size_t)length;
    note(w, w->at - (size_t)length, (size_t)length, 0);
}

/* A value of a type, or the elements of an array. */
static void walk_value(struct walk *w, uint64_t type)
{
    static const int widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t count = 1;
    if (type == 9) {
        type = take(w, 4);
        note(w, w->at, 8, 1);
        count = take(w, 8);
    }
    if (type > 12 || type == 9)
        w->damaged = 1;
    for (uint64_t i = 0; i < count && !w->damaged; i++) {
        if (type == 8) {
            walk_string(w);
            continue;
        }
        note(w, w->at, (size_t)widths[type], 1);
        take(w, widths[type]);
    }
}

static void walk_tensor(struct walk *w)
{
    walk_string(w);
    note(w, w->at, 4, 1);
    const uint64_t axes = take(w, 4);
    for (uint64_t i = 0; i < axes && !w->damaged; i++) {
        note(w, w->at, 8, 1);
        take(w, 8);
    }
    note(w, w->at, 4, 1);
    take(w, 4);
    note(w, w->at, 8, 1);
    take(w, 8);
}

static void walk_header(struct walk *w)
{
    w->at = 4;
    take(w, 4);
    const uint64_t tensors = take(w, 8), pairs = take(w, 8);
    for (uint64_t i = 0; i < pairs && !w->damaged; i++) {
        walk_string(w);
        walk_value(w, take(w, 4));
    }
    for (uint64_t i = 0; i < tensors && !w->damaged; i++)
        walk_tensor(w);
}

/* Mutates a string or number of the header, and keeps the data where the header says they are. */
static size_t mutate_gguf(uint8_t *bytes, size_t size, size_t most, unsigned int seed)
{
    struct walk all = {.bytes = bytes, .size = size, .wanted = UINT64_MAX};
    walk_header(&all);
    const size_t begin = (all.at + 31) / 32 * 32;
    if (all.damaged || !all.count || begin > size || most < size + 64)
        return LLVMFuzzerMutate(bytes, size, most);
    if (seed % 8 == 0) {
        mutate_place(bytes, &size, most, (struct place){begin, size - begin, 0});
        return size;
    }
    struct walk one = {.bytes = bytes, .size = size, .wanted = seed / 8 % all.count};
    walk_header(&one);
    const size_t now = mutate_place(bytes, &size, most - 32, one.place);
    if (one.place.fixed)
        return size;
    write_number(bytes + one.place.at - 8, now, 8);
    const size_t header = all.at + now - one.place.size, moved = begin + now - one.place.size;
    const size_t place = (header + 31) / 32 * 32;
    memmove(bytes + place, bytes + moved, size - moved);
    if (place > header)
        memset(bytes + header, 0, place - header);
    return size - moved + place;
}

static size_t mutate_file(uint8_t *bytes, size_t size, size_t most, unsigned int seed)
{
    if (size > 24 && !memcmp(bytes, "GGUF", 4))
        return mutate_gguf(bytes, size, most, seed);
    if (size > 8 && bytes[8] == '{' && !bytes[7])
        return mutate_safetensors(bytes, size, most, seed);
    return LLVMFuzzerMutate(bytes, size, most);
}

/* Mutates one part of an input, and leaves the others as they are. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned int seed)
{
    enum { PARTS = 4 };
    struct fuzz_part parts[PARTS];
    if (seed % 8 == 0 || !size)
        return LLVMFuzzerMutate(bytes, size, most);
    seed /= 8;
    fuzz_divide(bytes, size, parts, PARTS);
    int count = 1;
    while (count < PARTS && parts[count].bytes < bytes + size)
        count++;
    const struct fuzz_part part = parts[seed % (unsigned int)count];
    const size_t at = (size_t)(part.bytes - bytes), part_size = (size_t)part.size;
    static uint8_t behind[1 << 20];
    const size_t rest = size - at - part_size;
    if (rest > sizeof behind)
        return LLVMFuzzerMutate(bytes, size, most);
    memcpy(behind, part.bytes + part_size, rest);
    const size_t now =
        mutate_file(bytes + at, part_size, most - at - rest, seed / (unsigned int)count);
    memcpy(bytes + at + now, behind, rest);
    return at + now + rest;
}
