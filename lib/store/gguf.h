/*
 * The GGUF format, versions 2 and 3, little-endian (docs/gguf.md in llama.cpp's source tree):
 *
 *     "GGUF", u32 version, u64 tensors, u64 metadata pairs
 *     pairs:   string key, u32 type, value; an array is u32 type, u64 length, elements
 *     tensors: string name, u32 axes, u64 size of each axis (the innermost first), u32 type,
 *              u64 offset
 *     padding, data: offsets count from here, and are multiples of the alignment
 *
 * A string is u64 length, then bytes. The alignment is 32, or general.alignment.
 */
#ifndef PTQI_GGUF_H
#define PTQI_GGUF_H

#include "store.h"

#define PTQI_GGUF_ALIGNMENT 32 /* bytes, unless the metadata say otherwise */

/* Types of metadata values. */
enum {
    PTQI_GGUF_U8,
    PTQI_GGUF_I8,
    PTQI_GGUF_U16,
    PTQI_GGUF_I16,
    PTQI_GGUF_U32,
    PTQI_GGUF_I32,
    PTQI_GGUF_F32,
    PTQI_GGUF_BOOL,
    PTQI_GGUF_STRING,
    PTQI_GGUF_ARRAY,
    PTQI_GGUF_U64,
    PTQI_GGUF_I64,
    PTQI_GGUF_F64,
    PTQI_GGUF_TYPES
};

struct ptqi_gguf_value_type {
    const char *name, *array_name; /* "u32", "arr[u32]" */
    int32_t bytes;                 /* of a value; 0: it varies */
};

/* A type of tensors: blocks of consecutive values. */
struct ptqi_gguf_tensor_type {
    const char *name;
    uint32_t id;
    int32_t values, bytes; /* in a block */
    int32_t dtype;         /* PTQ_DTYPE_..., or 0 */
};

/* gguf_types.c: NULL for an unknown type. By the name of a value's type, "u32" or "arr[u32]", its
 * number, and whether it is an array; returns 0 for an unknown name. */
int ptqi_gguf_value_named(const char *name, uint32_t *id, int *is_array);
const struct ptqi_gguf_value_type *ptqi_gguf_value_type(uint32_t id);
const struct ptqi_gguf_tensor_type *ptqi_gguf_tensor_type(uint32_t id);
const struct ptqi_gguf_tensor_type *ptqi_gguf_tensor_named(const char *name);

/* A position in the bytes of a file. */
struct ptqi_gguf_cursor {
    ptq_store *store;
    const char *path; /* for messages */
    const uint8_t *at, *end;
    char *text; /* the last string, zero-terminated */
    int64_t capacity;
};

/* gguf_values.c: "path: name: problem". */
ptq_status ptqi_gguf_fail(const struct ptqi_gguf_cursor *c, const char *name, const char *problem);
/* Unsigned integers of 4 and 8 bytes. */
ptq_status ptqi_gguf_u32(struct ptqi_gguf_cursor *c, uint32_t *value);
ptq_status ptqi_gguf_u64(struct ptqi_gguf_cursor *c, uint64_t *value);
/* A string, to c->text. */
ptq_status ptqi_gguf_string(struct ptqi_gguf_cursor *c);
/* A metadata pair, which is added to the store. */
ptq_status ptqi_gguf_pair(struct ptqi_gguf_cursor *c);

/* gguf_read.c: adds the metadata and tensors of a file in memory; path names it in messages. */
ptq_status ptqi_gguf_read_bytes(ptq_store *store, const char *path, const uint8_t *bytes,
                                int64_t size);
/* The alignment of data that the metadata say. */
ptq_status ptqi_gguf_alignment(const ptq_store *store, const char *path, uint64_t *alignment);

/* gguf_write.c: writes all metadata and tensors to the store's path. */
ptq_status ptqi_gguf_write(ptq_store *store);

#endif
