#include "text_model.h"
#include "field.h"

/* Files that do not say which model they have are old and have BPE. */
ptq_status text_model_load(ptq_context *context, const struct ptqi_json *model,
                           const struct vocabulary *vocabulary, struct text_model *m)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(model, "type");
    const struct ptqi_json *vocab = ptqi_json_get(model, "vocab");
    m->is_unigram = field_is(type, "Unigram");
    if (type && !m->is_unigram && !field_is(type, "BPE"))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "the model \"%s\" is not supported, only BPE and Unigram",
                         field_quote(type, quote));
    if (vocab->kind != (m->is_unigram ? PTQI_JSON_ARRAY : PTQI_JSON_OBJECT))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "the vocabulary is not that of a %s model",
                         m->is_unigram ? "Unigram" : "BPE");
    return m->is_unigram ? unigram_load(context, model, vocabulary, &m->unigram)
                         : bpe_load(context, model, vocabulary, &m->bpe);
}

void text_model_free(struct text_model *m)
{
    bpe_free(&m->bpe);
    unigram_free(&m->unigram);
}

ptq_status text_model_encode(const struct text_model *m, struct text_model_work *work,
                             const char *piece, int64_t length, struct id_list *out)
{
    return m->is_unigram ? unigram_encode(&m->unigram, &work->unigram, piece, length, out)
                         : bpe_encode(&m->bpe, &work->bpe, piece, length, out);
}

void text_model_work_free(ptq_context *context, struct text_model_work *work)
{
    bpe_work_free(context, &work->bpe);
    unigram_work_free(context, &work->unigram);
}
