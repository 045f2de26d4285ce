/*
 * Byte pair encoding of one piece of text. Of all adjacent pairs that may be merged, the one that
 * comes first in the list of merges is merged first, the leftmost first among equals, until no
 * merge is possible.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "id_list.h"
#include "vocabulary.h"

#define BPE_SMALL 0x400

struct bpe {
    ptq_context *context;
    const struct vocabulary *vocabulary;
    struct ptqi_table merges; /* a pair of ids -> position in the list << 32 | id of the result */
    /* The characters, as ids, between which merges can happen: the text is cut everywhere else. */
    struct ptqi_table joints;
    int cannot_cut;
    int32_t small_ids[BPE_SMALL]; /* of the first characters of Unicode; -1: none */
    int32_t byte_ids[256];        /* of <0x00> and so on, -1: none */
    int byte_fallback;            /* characters without a token become bytes */
    int32_t unknown_id;           /* for others, -1: drop them */
    int unknown_is_missing;       /* there is a token for others, but the vocabulary lacks it */
    int fuse_unknown;             /* consecutive ones become one */
    int ignore_merges;            /* a piece that is a token is never split */
};

/* The result of merging two adjacent tokens; returns 0 if they may not be merged. */
int bpe_find_merge(const struct bpe *b, int32_t left, int32_t right, int32_t *rank,
                   int32_t *result);
/* The hash of a pair in merges or joints. */
uint64_t bpe_pair_hash(const struct ptqi_table *t, int32_t left, int32_t right);

/* The id of the token that is this character, -1 if there is none. */
int32_t bpe_character(const struct bpe *b, const char *text, int length);

/* Memory that is reused from piece to piece. Initially all zero. */
struct bpe_work {
    struct symbol *symbols;
    struct candidate *heap;
    int64_t symbol_capacity, heap_count, heap_capacity;
};

/*
 * Loads the value of "model". The vocabulary must outlive b. b may be freed even if loading failed.
 * Messages do not name the file.
 */
ptq_status bpe_load(ptq_context *context, const struct ptqi_json *model,
                    const struct vocabulary *vocabulary, struct bpe *b);
void bpe_free(struct bpe *b);

/* Appends the ids of a piece of valid UTF-8. */
ptq_status bpe_encode(const struct bpe *b, struct bpe_work *work, const char *piece, int64_t length,
                      struct id_list *out);
void bpe_work_free(ptq_context *context, struct bpe_work *work);

#endif
