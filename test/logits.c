#include "logits.h"
#include <math.h>
#include "base/context.h"
#include "model/model.h"
#include "test.h"

float *logits_of(ptq_context *context, const char *directory, const int32_t *ids, int64_t count)
{
    struct model *m;
    struct workspace *w;
    if (!CHECK_OK(model_open(context, directory, &m)))
        return NULL;
    CHECK_EQ(m->checkpoint->unused.text != NULL && *m->checkpoint->unused.text, 0);
    float *x = ptqi_alloc(context, count * m->config.hidden, (int64_t)sizeof *x);
    float *logits = ptqi_alloc(context, count * m->config.vocabulary, (int64_t)sizeof *logits);
    CHECK_OK(workspace_create(m, count, &w));
    CHECK_OK(model_embed(m, ids, 0, count, x));
    for (int64_t l = 0; l < m->config.layers; l++) {
        struct block *b;
        int quantized;
        if (!CHECK_OK(model_load_block(m, NULL, l, -1, &b, &quantized)))
            break;
        CHECK_OK(block_forward(m, b, w, x, count));
        block_free(b);
    }
    CHECK_OK(model_logits(m, x, count, logits));
    ptqi_free(context, x);
    workspace_free(w);
    model_free(m);
    return logits;
}

double logits_worst(const float *logits, const float *wanted, int64_t count)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double difference = fabs((double)logits[i] - (double)wanted[i]);
        worst = difference <= worst ? worst : difference; /* NaN too */
        largest = fmax(largest, fabs((double)wanted[i]));
    }
    return worst / largest;
}

double logits_distance(const float *logits, const float *wanted, int64_t count)
{
    double distance = 0, whole = 0;
    for (int64_t i = 0; i < count; i++) {
        const double difference = (double)logits[i] - (double)wanted[i];
        distance += difference * difference;
        whole += (double)wanted[i] * (double)wanted[i];
    }
    return sqrt(distance / whole);
}
