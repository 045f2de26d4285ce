/*
 * ptq diff: two checkpoints of one model, compared matrix by matrix.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "commands.h"
#include "console/progress.h"
#include "corpus/windows.h"
#include "eval/perplexity.h"
#include "model/architecture.h"
#include "model/token_matrix.h"
#include "model/weights.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq diff A B [options]\n"
    "\n"
    "Compares two checkpoints of one model, in any formats: the codes, the scales and the weights\n"
    "of each matrix, norms and biases, the embedding and the head. Prints what differs. With "
    "--text\n"
    "also how far the predictions of B are from those of A.\n";

static const struct option table[] = {
    {"text", "FILE", "a text for the divergence KL(A || B) of the predictions"},
    {"window", "N", "tokens per window; default: the model's maximum, at most 2048"},
    {"max-windows", "N", "at most N windows of the text"},
    COMMON_OPTIONS,
};

struct diff {
    const struct options *o;
    ptq_context *context;
    struct model *a, *b;
    struct ptqi_json_writer *json;                    /* NULL: text */
    int64_t matrices, same_codes, same_scales, equal; /* same codes, same scales, same weights */
    int64_t others, other_equal;                      /* tensors that are not matrices of blocks */
    double worst;                                     /* |A - B| / |A| of a matrix */
    char worst_name[MAX_LAYER_NAME];
    struct windows windows;
    int64_t window, max_windows;
    struct divergence kl;
};

/* A matrix of one of the checkpoints. */
struct side {
    ptq_qtensor *q; /* NULL: it is not quantized */
    float *weights; /* [n][k] */
};

static ptq_status load_side(const struct model *m, const struct matrix *matrix, struct side *s)
{
    const ptq_store *store = m->checkpoint->store;
    const int32_t format = ptq_format_find(store, matrix->name);
    if (!format)
        return weights_matrix(m, store, matrix, &s->weights);
    PTQI_TRY(ptq_qtensor_read(m->context, format, store, matrix->name, &s->q));
    if (ptq_qtensor_n(s->q) != matrix->n || ptq_qtensor_k(s->q) != matrix->k)
        return ptqi_fail(m->context, PTQ_ERROR_SHAPE, "%s: %s: its shape does not suit config.json",
                         m->checkpoint->path, matrix->name);
    s->weights = ptqi_alloc(m->context, matrix->n * matrix->k, (int64_t)sizeof *s->weights);
    return s->weights ? ptq_qtensor_dequantize(s->q, s->weights) : PTQ_ERROR_MEMORY;
}

static void free_side(ptq_context *context, struct side *s)
{
    ptq_qtensor_free(s->q);
    ptqi_free(context, s->weights);
}

/* |a - b| / |a|, or |a - b| if a is 0. */
static double distance(const float *a, const float *b, int64_t count)
{
    double apart = 0, whole = 0;
    for (int64_t i = 0; i < count; i++) {
        const double difference = (double)a[i] - (double)b[i];
        apart += difference * difference;
        whole += (double)a[i] * (double)a[i];
    }
    return sqrt(whole > 0 ? apart / whole : apart);
}

/* Sets *share to the share of equal codes, and *scales to whether all scales are equal. */
static ptq_status compare_codes(ptq_context *context, const ptq_qtensor *a, const ptq_qtensor *b,
                                double *share, int *scales)
{
    const int64_t codes = ptq_qtensor_n(a) * ptq_qtensor_k(a);
    const int64_t groups = ptq_qtensor_n(a) * ptq_qtensor_groups(a);
    const int alike = ptq_qtensor_groups(a) == ptq_qtensor_groups(b);
    uint8_t *x = ptqi_alloc(context, codes, 2), *y = x ? x + codes : NULL;
    float *s = ptqi_alloc(context, groups, 2 * (int64_t)sizeof *s);
    ptq_status status = x && s ? PTQ_OK : PTQ_ERROR_MEMORY;
    int64_t same = 0;
    if (!status)
        status = ptq_qtensor_codes(a, x);
    if (!status)
        status = ptq_qtensor_codes(b, y);
    for (int64_t i = 0; i < codes && !status; i++)
        same += x[i] == y[i];
    if (!status && alike)
        status = ptq_qtensor_scales(a, s);
    if (!status && alike)
        status = ptq_qtensor_scales(b, s + groups);
    *share = (double)same / (double)codes;
    *scales = !status && alike && !memcmp(s, s + groups, (size_t)groups * sizeof *s);
    ptqi_free(context, x);
    ptqi_free(context, s);
    return status;
}

static void show_matrix(struct diff *d, const char *name, int quantized, double codes, int scales,
                        double weights)
{
    if (d->json) {
        ptqi_json_open(d->json, NULL, '{');
        ptqi_json_add_text(d->json, "name", name);
        if (quantized) {
            ptqi_json_add_number(d->json, "same_codes", codes, 9);
            ptqi_json_add_bool(d->json, "same_scales", scales);
        }
        ptqi_json_add_number(d->json, "difference", weights, 9);
        ptqi_json_close(d->json, '}');
    } else if (weights > 0 || (quantized && (codes < 1 || !scales))) {
        printf("%-44s weights %.3e", name, weights);
        if (quantized)
            printf("  codes %.2f %%  scales %s", 100 * codes, scales ? "equal" : "differ");
        printf("\n");
    }
}

static ptq_status compare_sides(struct diff *d, const struct matrix *matrix, const struct side *a,
                                const struct side *b)
{
    const int quantized = a->q && b->q && ptq_qtensor_bits(a->q) == ptq_qtensor_bits(b->q);
    const double weights = distance(a->weights, b->weights, matrix->n * matrix->k);
    double codes = 0;
    int scales = 0;
    if (quantized)
        PTQI_TRY(compare_codes(d->context, a->q, b->q, &codes, &scales));
    d->matrices++;
    d->same_codes += quantized && codes == 1;
    d->same_scales += scales;
    d->equal += weights == 0;
    if (!(weights <= d->worst)) {
        d->worst = weights;
        snprintf(d->worst_name, sizeof d->worst_name, "%s", matrix->name);
    }
    show_matrix(d, matrix->name, quantized, codes, scales, weights);
    return PTQ_OK;
}

static ptq_status compare_matrix(struct diff *d, const struct matrix *matrix)
{
    struct side a = {0}, b = {0};
    ptq_status status = load_side(d->a, matrix, &a);
    if (!status)
        status = load_side(d->b, matrix, &b);
    if (!status)
        status = compare_sides(d, matrix, &a, &b);
    free_side(d->context, &a);
    free_side(d->context, &b);
    return status;
}

/* Counts a tensor other than a matrix, and tells if it differs. Either may be missing. */
static void compare_values(struct diff *d, const char *name, const float *a, const float *b,
                           int64_t count)
{
    const int same = a && b ? distance(a, b, count) == 0 : !a && !b;
    d->others += a || b;
    d->other_equal += same && a;
    if (!same && !d->json)
        printf("%-44s %s\n", name,
               a && b ? "differs"
               : a    ? "is missing in the second"
                      : "is missing in the first");
}

static ptq_status compare_token_matrices(struct diff *d, const char *name,
                                         const struct token_matrix *a, const struct token_matrix *b)
{
    const int64_t count = d->a->config.vocabulary * d->a->config.hidden;
    float *x = ptqi_alloc(d->context, count, 2 * (int64_t)sizeof *x);
    ptq_status status = x ? token_matrix_to_f32(a, x) : PTQ_ERROR_MEMORY;
    if (!status)
        status = token_matrix_to_f32(b, x + count);
    if (!status)
        compare_values(d, name, x, x + count, count);
    ptqi_free(d->context, x);
    return status;
}

/* A tensor that both models have by this name, or one of them, or none; columns 0: a vector. */
static ptq_status compare_named(struct diff *d, const char *name, int64_t rows, int64_t columns)
{
    struct vector a = {0}, b = {0};
    const struct model *const models[] = {d->a, d->b};
    struct vector *const vectors[] = {&a, &b};
    ptq_status status = PTQ_OK;
    for (int i = 0; i < 2 && !status; i++)
        if (ptq_store_has(models[i]->checkpoint->store, name))
            status = weights_stored(models[i], models[i]->checkpoint->store, name, rows, columns,
                                    vectors[i]);
    if (!status)
        compare_values(d, name, a.values, b.values, a.length);
    ptqi_free(d->context, a.values);
    ptqi_free(d->context, b.values);
    return status;
}

static ptq_status compare_block(struct diff *d, int64_t index)
{
    struct matrix matrix;
    char name[MAX_LAYER_NAME + 8];
    for (int i = 0; model_describe_matrix(d->a, index, i, &matrix); i++) {
        PTQI_TRY(compare_matrix(d, &matrix));
        snprintf(name, sizeof name, "%s.bias", matrix.name);
        PTQI_TRY(compare_named(d, name, matrix.n, 0));
        PTQI_TRY(ptqi_check_cancelled(d->context));
    }
    for (int i = 0; i < 2 * NORMS; i++) {
        const int64_t length = model_norm_name(d->a, index, i / 2, i % 2, name);
        if (length)
            PTQI_TRY(compare_named(d, name, length, 0));
    }
    if (!model_router_name(d->a, index, name))
        return PTQ_OK;
    return compare_named(d, name, model_experts(d->a, index), d->a->config.hidden);
}

/* A norm outside the blocks. */
static void compare_norms(struct diff *d, const char *name, const struct norm *a,
                          const struct norm *b)
{
    compare_values(d, name, a->weight.values, b->weight.values, a->weight.length);
    compare_values(d, name, a->bias.values, b->bias.values, a->bias.length);
}

static ptq_status check_same_model(const struct diff *d)
{
    const struct model_config *a = &d->a->config, *b = &d->b->config;
    if (a->architecture == b->architecture && a->layers == b->layers && a->hidden == b->hidden &&
        a->vocabulary == b->vocabulary && a->intermediate == b->intermediate &&
        a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim)
        return PTQ_OK;
    return ptqi_fail(d->context, PTQ_ERROR_CONFLICT, "%s and %s are models of different shapes",
                     d->a->checkpoint->path, d->b->checkpoint->path);
}

static ptq_status measure_divergence(struct diff *d)
{
    struct progress progress;
    struct perplexity result;
    PTQI_TRY(perplexity_window(d->a, &d->window));
    PTQI_TRY(windows_load(d->context, d->o->positional[0], option_text(d->o, "text"), d->window, 0,
                          d->max_windows, &d->windows));
    d->kl.reference = d->a;
    progress_begin(&progress, 0);
    const ptq_status status =
        perplexity_measure(d->b, &d->windows, ACTIVATIONS_OWN, &d->kl, &progress, &result);
    progress_end(&progress);
    return status;
}

static ptq_status compare_all(struct diff *d)
{
    PTQI_TRY(check_same_model(d));
    PTQI_TRY(compare_token_matrices(d, "the embedding", &d->a->embedding, &d->b->embedding));
    PTQI_TRY(compare_token_matrices(d, "the head", d->a->head, d->b->head));
    if (d->a->positions)
        PTQI_TRY(compare_named(d, ptq_tensor_name(d->a->positions),
                               ptq_tensor_size(d->a->positions, 0), d->a->config.hidden));
    compare_norms(d, "the norm of the embedding", &d->a->embedding_norm, &d->b->embedding_norm);
    compare_norms(d, "the final norm", &d->a->final_norm, &d->b->final_norm);
    for (int64_t b = 0; b < d->a->config.layers; b++)
        PTQI_TRY(compare_block(d, b));
    return option_given(d->o, "text") ? measure_divergence(d) : PTQ_OK;
}

static void print_text(const struct diff *d)
{
    printf(
        "%lld matrices: the weights of %lld, the codes of %lld and the scales of %lld are equal\n",
        (long long)d->matrices, (long long)d->equal, (long long)d->same_codes,
        (long long)d->same_scales);
    if (d->worst > 0)
        printf("largest difference: %.3e of the weights of %s\n", d->worst, d->worst_name);
    printf("%lld of %lld other tensors are equal\n", (long long)d->other_equal,
           (long long)d->others);
    if (d->kl.reference)
        printf(
            "KL divergence: mean %.6f +- %.6f, 99 %% %.5f, max %.4f; same first choice %.2f %%\n",
            d->kl.mean, d->kl.standard_error, d->kl.p99, d->kl.max,
            100 * divergence_same_first(&d->kl));
}

static void add_json(const struct diff *d, struct ptqi_json_writer *w)
{
    ptqi_json_add_integer(w, "count", d->matrices);
    ptqi_json_add_integer(w, "equal", d->equal);
    ptqi_json_add_integer(w, "same_codes", d->same_codes);
    ptqi_json_add_integer(w, "same_scales", d->same_scales);
    ptqi_json_add_number(w, "largest_difference", d->worst, 9);
    ptqi_json_add_integer(w, "others", d->others);
    ptqi_json_add_integer(w, "others_equal", d->other_equal);
    if (d->kl.reference)
        divergence_add_json(&d->kl, w);
}

static ptq_status run(struct diff *d)
{
    struct ptqi_json_writer w;
    PTQI_TRY(model_open(d->context, d->o->positional[0], &d->a));
    PTQI_TRY(model_open(d->context, d->o->positional[1], &d->b));
    if (!option_given(d->o, "json")) {
        PTQI_TRY(compare_all(d));
        print_text(d);
        return PTQ_OK;
    }
    d->json = &w;
    ptqi_json_begin(&w, d->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_open(&w, "matrices", '[');
    const ptq_status status = compare_all(d);
    ptqi_json_close(&w, ']');
    add_json(d, &w);
    ptqi_json_close(&w, '}');
    if (!status)
        return report_print(&w);
    ptqi_json_end(&w);
    return status;
}

int command_diff(int argc, char **argv)
{
    struct options o;
    struct diff d = {.o = &o};
    int rc = options_parse(&o, "diff", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 2)
        return usage_error(&o, "needs two models");
    rc = option_integer(&o, "window", 2, 1 << 20, &d.window);
    if (!rc)
        rc = option_integer(&o, "max-windows", 1, 1 << 30, &d.max_windows);
    if (!rc)
        rc = options_context(&o, &d.context);
    if (rc)
        return rc;
    const ptq_status status = run(&d);
    rc = status ? report_failure(status) : 0;
    divergence_free(&d.kl);
    windows_free(&d.windows);
    model_free(d.b);
    model_free(d.a);
    ptq_context_free(d.context);
    return rc;
}
