#include "corpus/windows.h"
#include <string.h>
#include "base/context.h"
#include "base/random.h"
#include "corpus/corpus.h"

ptq_status windows_load(ptq_context *context, const char *model, const char *text, int64_t length,
                        int64_t stride, int64_t limit, struct windows *w)
{
    memset(w, 0, sizeof *w);
    w->context = context;
    w->length = length;
    w->stride = stride ? stride : length;
    PTQI_TRY(corpus_encode(context, model, text, &w->ids, &w->tokens));
    w->available = w->tokens < length ? 0 : (w->tokens - length) / w->stride + 1;
    w->count = limit && limit < w->available ? limit : w->available;
    if (w->count)
        return PTQ_OK;
    ptq_status status =
        ptqi_fail(context, PTQ_ERROR_SHAPE, "%s: %lld tokens, too few for one window of %lld", text,
                  (long long)w->tokens, (long long)length);
    windows_free(w);
    return status;
}

ptq_status windows_random(ptq_context *context, int64_t vocabulary, int64_t length, int64_t count,
                          uint64_t seed, struct windows *w)
{
    memset(w, 0, sizeof *w);
    if (!ptqi_multiply(length, count, &w->tokens) ||
        !(w->ids = ptqi_alloc(context, w->tokens, (int64_t)sizeof *w->ids)))
        return PTQ_ERROR_MEMORY;
    w->context = context;
    w->length = w->stride = length;
    w->count = w->available = count;
    for (int64_t i = 0; i < w->tokens;
         i++) /* the high bits times vocabulary: the bias is negligible */
        w->ids[i] = (int32_t)((ptqi_random(&seed) >> 32) * (uint64_t)vocabulary >> 32);
    return PTQ_OK;
}

const int32_t *windows_first(const struct windows *w, int64_t i)
{
    return w->ids + i * w->stride;
}

const int32_t *windows_spread(const struct windows *w, int64_t i)
{
    return w->ids + i * w->available / w->count * w->stride;
}

void windows_free(struct windows *w)
{
    if (w->context)
        ptqi_free(w->context, w->ids);
    memset(w, 0, sizeof *w);
}
