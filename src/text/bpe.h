/*
 * Byte pair encoding of one piece of text. Of all adjacent pairs that may be merged, the one that
 * comes first in the list of merges is merged first, the leftmost first among equals, until no
 * merge is possible.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "vocabulary.h"

struct bpe {
    ptq_context *context;
    const struct vocabulary *vocabulary;
    struct ptqi_table merges; /* a pair of ids -> position in the list << 32 | id of the result */
    int32_t byte_ids[256];    /* -1 if the vocabulary lacks a byte */
    int32_t unknown_id;       /* id for such a byte, -1: drop it */
    int fuse_unknown;         /* consecutive such bytes become one */
    int ignore_merges;        /* a piece that is a token is never split */
};

/* The result of merging two adjacent tokens; returns 0 if they may not be merged. */
int bpe_find_merge(const struct bpe *b, int32_t left, int32_t right, int32_t *rank,
                   int32_t *result);
/* The hash of a pair in merges. */
uint64_t bpe_pair_hash(const struct bpe *b, int32_t left, int32_t right);

/* Memory that is reused from piece to piece. Initially all zero. */
struct bpe_work {
    struct symbol *symbols;
    struct candidate *heap;
    char *spelling;
    int64_t symbol_capacity, heap_count, heap_capacity, spelling_capacity;
};

struct id_list {
    int32_t *ids;
    int64_t count, capacity;
};

/*
 * Loads the value of "model". The vocabulary must outlive b. b may be freed even if loading failed.
 * Messages do not name the file.
 */
ptq_status bpe_load(ptq_context *context, const struct ptqi_json *model,
                    const struct vocabulary *vocabulary, struct bpe *b);
void bpe_free(struct bpe *b);

/* Appends the ids of a piece, which may be any bytes. */
ptq_status bpe_encode(const struct bpe *b, struct bpe_work *work, const char *piece, int64_t length,
                      struct id_list *out);
void bpe_work_free(ptq_context *context, struct bpe_work *work);

ptq_status id_list_append(ptq_context *context, struct id_list *list, int32_t id);

#endif
