/* What targets do with a model, and with a tokenizer. */
#include <string.h>
#include "base/context.h"
#include "fuzz.h"
#include "model/model.h"
#include "text/tokenizer.h"

enum { TOKENS = 3 };

static ptq_status run_block(struct model *m, struct workspace *w, int64_t index, float *x)
{
    struct block *b;
    int quantized;
    PTQI_TRY(model_load_block(m, NULL, index, -1, &b, &quantized));
    const ptq_status status = block_forward(m, b, w, x, TOKENS);
    block_free(b);
    return status;
}

static ptq_status run(struct model *m, struct workspace *w, float *x, float *logits)
{
    const int32_t last = (int32_t)(m->config.vocabulary - 1);
    const int32_t ids[TOKENS] = {0, last, last / 2};
    PTQI_TRY(model_embed(m, ids, 0, TOKENS, x));
    for (int64_t i = 0; i < m->config.layers; i++)
        PTQI_TRY(run_block(m, w, i, x));
    return model_logits(m, x, TOKENS, logits);
}

void fuzz_run_model(const char *path)
{
    struct model *m;
    struct workspace *w = NULL;
    if (!fuzz_succeeded(model_open(fuzz_context(), path, &m)))
        return;
    float *x = ptqi_alloc(m->context, TOKENS * m->config.hidden, (int64_t)sizeof *x);
    float *logits = ptqi_alloc(m->context, TOKENS * m->config.vocabulary, (int64_t)sizeof *logits);
    fuzz_require(x && logits, "there is memory for logits");
    if (fuzz_succeeded(workspace_create(m, TOKENS, &w)))
        fuzz_succeeded(run(m, w, x, logits));
    ptqi_free(m->context, x);
    ptqi_free(m->context, logits);
    workspace_free(w);
    model_free(m);
}

static void decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count)
{
    char *text;
    int64_t length;
    if (!fuzz_succeeded(tokenizer_decode(tokenizer, ids, count, &text, &length)))
        return;
    fuzz_require(text[length] == 0, "a text ends in a zero byte");
    ptqi_free(fuzz_context(), text);
}

static void check_ids(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        fuzz_require(ids[i] >= 0 && ids[i] < tokenizer_vocabulary(tokenizer),
                     "ids are in the vocabulary");
}

void fuzz_use_tokenizer(const struct tokenizer *tokenizer, struct fuzz_part text)
{
    int32_t *ids;
    int64_t count;
    if (!fuzz_succeeded(tokenizer_encode_templated(tokenizer, (const char *)text.bytes, text.size,
                                                   &ids, &count)))
        return;
    check_ids(tokenizer, ids, count);
    decode(tokenizer, ids, count);
    ptqi_free(fuzz_context(), ids);
}
