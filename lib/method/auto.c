/*
 * auto: searches what the config leaves open, for matrices that share an input: the equalization,
 * the rotation, the kind of zero points, and whether to clip.
 *
 * Every candidate is equalized, rounded by the config's rounding, and measured. Its error is the
 * sum over the matrices of
 *
 *     |X (W - Q)^T|^2 / |X W^T|^2  +  |(X' - Xq) Q'^T|^2 / |X' Q'^T|^2.
 *
 * The first term is computed from the Hessian: the matrix's own, if it has one. The second is added
 * for int8 activations and computed on the rows that the statistics keep: X' are the equalized
 * rows, and Xq the same rows quantized to int8.
 *
 * The search is greedy. It begins with the plain matrix and makes one choice after the other, in
 * the order of how much they usually win. Each keeps the candidate with the smallest error. With
 * effort fast, candidates are rounded to nearest, and only the best is rounded as the config says.
 */
#include <string.h>
#include "activations.h"
#include "measure.h"
#include "method.h"
#include "stats.h"

#define FIELD(name) offsetof(struct ptq_config, name)

/* One trial: a config with nothing left open, and its results. */
struct trial {
    struct ptq_config config;
    ptq_equalization *e;
    ptq_qtensor **q; /* [count] */
    double *errors;  /* [count] */
    double error;    /* their sum */
};

struct search {
    const struct ptqi_call *call;
    struct trial best;
    double *plain; /* [count], errors of the first trial */
};

/* Zero points are no candidate if integer sums with them might not fit. */
static int zeros_can_run(const struct search *s)
{
    const struct ptq_config *c = s->call->config;
    return c->activations == PTQ_ACTIVATIONS_F32 ||
           ptqi_group_size(c, s->call->matrices->k) <=
               ptqi_most_columns(c->activations, (1 << c->bits) - 1);
}

/* What can be PTQ_AUTO, in the order of the search. */
static const struct choice {
    size_t field;          /* an int32_t in struct ptq_config */
    int32_t plain;         /* the value of the first trial */
    int32_t candidates[3]; /* the other values */
    int usual, best;       /* how many of them are tried, and how many with effort best */
    int (*allowed)(const struct search *s); /* or NULL */
} choices[] = {
    {FIELD(rotate), 0, {64, 32, 128}, 1, 3, NULL},
    {FIELD(equalize),
     PTQ_EQUALIZE_NONE,
     {PTQ_EQUALIZE_AWQ, PTQ_EQUALIZE_LAE, PTQ_EQUALIZE_SMOOTHQUANT},
     2,
     3,
     NULL},
    {FIELD(symmetric), 1, {0}, 1, 1, zeros_can_run},
    {FIELD(clip), 0, {1}, 0, 1, NULL},
};
enum { CHOICES = sizeof choices / sizeof *choices };

static int32_t get(const struct ptq_config *config, const struct choice *choice)
{
    int32_t value;
    memcpy(&value, (const char *)config + choice->field, sizeof value);
    return value;
}

static void set(struct ptq_config *config, const struct choice *choice, int32_t value)
{
    memcpy((char *)config + choice->field, &value, sizeof value);
}

int ptqi_is_open(const struct ptq_config *config)
{
    int open = 0;
    for (int i = 0; i < CHOICES; i++)
        open |= get(config, &choices[i]) == PTQ_AUTO;
    return open;
}

static void clear(const struct search *s, struct trial *t)
{
    ptq_context *context = s->call->config->context;
    for (int64_t i = 0; t->q && i < s->call->matrices->count; i++)
        ptq_qtensor_free(t->q[i]);
    ptq_equalization_free(t->e);
    ptqi_free(context, t->q);
    ptqi_free(context, t->errors);
    memset(t, 0, sizeof *t);
}

static ptq_status run(const struct search *s, struct trial *t)
{
    struct ptqi_call call = *s->call;
    ptq_context *context = call.config->context;
    const int64_t count = call.matrices->count;
    call.config = &t->config;
    t->q = ptqi_alloc_zero(context, count, (int64_t)sizeof *t->q);
    t->errors = ptqi_alloc_zero(context, count, (int64_t)sizeof *t->errors);
    if (!t->q || !t->errors)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_config_check(&t->config));
    PTQI_TRY(ptqi_equalize_call(&call, &t->e));
    PTQI_TRY(ptqi_round_call(&call, t->e, t->q));
    for (int64_t i = 0; i < count; i++)
        t->errors[i] = ptq_qtensor_output_error(t->q[i]);
    if (!ptqi_activations_are_exact(t->e->activations) && call.stats->sampled)
        PTQI_TRY(ptqi_add_activation_errors(ptqi_config_crew(call.config), t->e, call.stats, count,
                                            t->q, t->errors));
    for (int64_t i = 0; i < count; i++)
        t->error += t->errors[i];
    return PTQ_OK;
}

/* Tries a config. Keeps the trial if it is the first or the best. */
static ptq_status try(struct search *s, const struct ptq_config *config)
{
    struct trial t = {.config = *config};
    ptq_status status = run(s, &t);
    if (!status && (!s->best.q || t.error < s->best.error)) {
        struct trial swap = s->best;
        s->best = t;
        t = swap;
    }
    clear(s, &t);
    return status;
}

/* Tries the candidates of one choice, the others as in the best trial so far. */
static ptq_status improve(struct search *s, const struct choice *choice)
{
    const struct ptq_config *asked = s->call->config;
    struct ptq_config config = s->best.config;
    const int count = asked->effort == PTQ_EFFORT_BEST ? choice->best : choice->usual;
    if (get(asked, choice) != PTQ_AUTO || (choice->allowed && !choice->allowed(s)))
        return PTQ_OK;
    for (int i = 0; i < count; i++) {
        set(&config, choice, choice->candidates[i]);
        PTQI_TRY(try(s, &config));
    }
    return PTQ_OK;
}

/* The config of the first trial. */
static struct ptq_config plain_config(const struct ptq_config *asked)
{
    struct ptq_config plain = *asked;
    for (int i = 0; i < CHOICES; i++)
        if (get(asked, &choices[i]) == PTQ_AUTO)
            set(&plain, &choices[i], choices[i].plain);
    if (asked->effort == PTQ_EFFORT_FAST) { /* GPTQ's options go with GPTQ */
        plain.rounding = PTQ_ROUNDING_RTN;
        plain.gptaq = 0;
        plain.act_order = plain.static_groups = 0;
    }
    return plain;
}

static ptq_status search(struct search *s)
{
    const struct ptq_config plain = plain_config(s->call->config);
    struct ptq_config final = *s->call->config;
    PTQI_TRY(try(s, &plain));
    memcpy(s->plain, s->best.errors, (size_t)s->call->matrices->count * sizeof *s->plain);
    for (int i = 0; i < CHOICES; i++)
        PTQI_TRY(improve(s, &choices[i]));
    if (plain.rounding == final.rounding)
        return PTQ_OK;
    for (int i = 0; i < CHOICES; i++) /* chosen by a cheaper rounding */
        set(&final, &choices[i], get(&s->best.config, &choices[i]));
    clear(s, &s->best);
    return try(s, &final);
}

/* Hands the best trial over to the caller. */
static void hand_over(struct search *s, ptq_equalization **e, ptq_qtensor **q)
{
    struct trial *best = &s->best;
    best->e->chosen = 1;
    best->e->choice = best->config.equalize;
    best->e->symmetric = best->config.symmetric;
    best->e->clip = best->config.clip;
    for (int64_t i = 0; i < s->call->matrices->count && q; i++) {
        best->q[i]->plain_error = s->plain[i];
        best->q[i]->chosen_error = best->errors[i];
        q[i] = best->q[i];
        best->q[i] = NULL;
    }
    if (e) {
        *e = best->e;
        best->e = NULL;
    }
}

ptq_status ptqi_choose(const struct ptqi_call *call, ptq_equalization **e, ptq_qtensor **q)
{
    ptq_context *context = call->config->context;
    struct search s = {.call = call};
    if (!call->stats || !call->stats->hessian || !call->stats->rows)
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "auto needs statistics with PTQ_STATS_HESSIAN that have seen rows");
    s.plain = ptqi_alloc_zero(context, call->matrices->count, (int64_t)sizeof *s.plain);
    ptq_status status = s.plain ? search(&s) : PTQ_ERROR_MEMORY;
    if (!status)
        hand_over(&s, e, q);
    clear(&s, &s.best);
    ptqi_free(context, s.plain);
    return status;
}
