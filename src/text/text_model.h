/*
 * The model of a tokenizer.json, which turns pieces of text into ids: BPE or Unigram.
 */
#ifndef TEXT_TEXT_MODEL_H
#define TEXT_TEXT_MODEL_H

#include "bpe.h"
#include "unigram.h"

struct text_model {
    struct bpe bpe;
    struct unigram unigram;
    int is_unigram;
};

/* Initially all zero. */
struct text_model_work {
    struct bpe_work bpe;
    struct unigram_work unigram;
};

/* Loads the value of "model". The vocabulary must outlive m. m may be freed even if loading failed.
 * Messages do not name the file. */
ptq_status text_model_load(ptq_context *context, const struct ptqi_json *model,
                           const struct vocabulary *vocabulary, struct text_model *m);
void text_model_free(struct text_model *m);

/* Appends the ids of a piece of valid UTF-8, which is not empty. */
ptq_status text_model_encode(const struct text_model *m, struct text_model_work *work,
                             const char *piece, int64_t length, struct id_list *out);
void text_model_work_free(ptq_context *context, struct text_model_work *work);

#endif
