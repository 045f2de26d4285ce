/*
 * The Unigram model: of all ways to write a piece as tokens, the one with the largest sum of
 * scores.
 */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include "id_list.h"
#include "vocabulary.h"

struct unigram {
    ptq_context *context;
    const struct vocabulary *vocabulary;
    int32_t
        *sorted; /* the tokens that are not empty, as places in the vocabulary, by their bytes */
    int64_t first[257]; /* those that start with byte b are first[b] .. first[b + 1] */
    double unknown_score;
    int32_t unknown_id;
    int byte_fallback;     /* unknown characters become bytes */
    int32_t byte_ids[256]; /* of <0x00> and so on, -1: none */
};

/* Memory that is reused from piece to piece. Initially all zero. */
struct unigram_work {
    struct unigram_end *ends; /* the best way to each position */
    int64_t capacity;
};

/*
 * Loads the value of "model". The vocabulary must outlive u. u may be freed even if loading failed.
 * Messages do not name the file.
 */
ptq_status unigram_load(ptq_context *context, const struct ptqi_json *model,
                        const struct vocabulary *vocabulary, struct unigram *u);
void unigram_free(struct unigram *u);

/* Appends the ids of a piece of valid UTF-8. */
ptq_status unigram_encode(const struct unigram *u, struct unigram_work *work, const char *piece,
                          int64_t length, struct id_list *out);
void unigram_work_free(ptq_context *context, struct unigram_work *work);

#endif
