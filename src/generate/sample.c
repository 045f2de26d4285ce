#include "generate/sample.h"
#include <stdlib.h>
#include "base/context.h"
#include "base/exact.h"
#include "base/random.h"
#include "rows/rows.h"

/* Tokens that are less likely than the likeliest by more than this factor, e^-40, are never chosen.
 */
#define FARTHEST 40.0

struct candidate {
    double weight; /* exp of the distance to the largest logit */
    int32_t id;
};

struct sampler {
    ptq_context *context;
    struct sampling s;
    int64_t vocabulary;
    uint8_t *occurred;            /* [vocabulary] */
    struct candidate *candidates; /* [vocabulary] */
    uint64_t random;
};

ptq_status sampler_create(ptq_context *context, const struct sampling *sampling, int64_t vocabulary,
                          struct sampler **sampler)
{
    struct sampler *new = ptqi_alloc_zero(context, 1, (int64_t)sizeof *new);
    *sampler = NULL;
    if (!new)
        return PTQ_ERROR_MEMORY;
    new->context = context;
    new->s = *sampling;
    new->vocabulary = vocabulary;
    new->random = sampling->seed;
    new->occurred = ptqi_alloc_zero(context, vocabulary, 1);
    new->candidates = ptqi_alloc(context, vocabulary, (int64_t)sizeof *new->candidates);
    if (!new->occurred || !new->candidates) {
        sampler_free(new);
        return PTQ_ERROR_MEMORY;
    }
    *sampler = new;
    return PTQ_OK;
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    ptqi_free(sampler->context, sampler->occurred);
    ptqi_free(sampler->context, sampler->candidates);
    ptqi_free(sampler->context, sampler);
}

void sampler_note(struct sampler *sampler, int32_t id)
{
    if (id >= 0 && id < sampler->vocabulary)
        sampler->occurred[id] = 1;
}

static void penalize(const struct sampler *sampler, float *logits)
{
    const float penalty = (float)sampler->s.repetition_penalty;
    for (int64_t i = 0; penalty != 1.0f && i < sampler->vocabulary; i++)
        if (sampler->occurred[i])
            logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
}

/* The likelier first. */
static int descending(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static int64_t collect(const struct sampler *sampler, const float *logits)
{
    const double largest = (double)logits[row_largest(logits, sampler->vocabulary)];
    int64_t count = 0;
    for (int64_t i = 0; i < sampler->vocabulary; i++) {
        const double distance = ((double)logits[i] - largest) / sampler->s.temperature;
        if (distance >= -FARTHEST)
            sampler->candidates[count++] = (struct candidate){ptqi_exp(distance), (int32_t)i};
    }
    qsort(sampler->candidates, (size_t)count, sizeof *sampler->candidates, descending);
    return count;
}

static double total(const struct sampler *sampler, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += sampler->candidates[i].weight;
    return sum;
}

/* How many candidates remain. */
static int64_t restrict_candidates(const struct sampler *sampler, int64_t count)
{
    const struct sampling *s = &sampler->s;
    if (s->top_k && s->top_k < count)
        count = s->top_k;
    if (s->top_p < 1) {
        const double wanted = s->top_p * total(sampler, count);
        int64_t kept = 0;
        for (double sum = 0; kept < count && (!kept || sum < wanted); kept++)
            sum += sampler->candidates[kept].weight;
        count = kept;
    }
    while (count > 1 && sampler->candidates[count - 1].weight < s->min_p)
        count--;
    return count;
}

int32_t sampler_next(struct sampler *sampler, float *logits)
{
    penalize(sampler, logits);
    if (sampler->s.temperature <= 0)
        return (int32_t)row_largest(logits, sampler->vocabulary);
    const int64_t count = restrict_candidates(sampler, collect(sampler, logits));
    const double uniform = (double)(ptqi_random(&sampler->random) >> 11) * 0x1p-53;
    double left = uniform * total(sampler, count);
    int64_t i = 0;
    while (i < count - 1 && (left -= sampler->candidates[i].weight) >= 0)
        i++;
    return sampler->candidates[i].id;
}
