/*
 * ptq bench: how fast the kernels run, and what fraction of the machine's peak that is.
 *
 * Every measurement alternates with its limit: a bare loop of the instruction set's dot product,
 * and a plain read of the fewest bytes that the matrix can occupy (packed codes, f16 scales). The
 * limit of a product is the slower of the two.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "bench/limits.h"
#include "bench/samples.h"
#include "bench/timing.h"
#include "commands.h"
#include "console/clock.h"
#include "linalg/matmul.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq bench [options]\n"
    "\n"
    "Times the kernels on matrices [N, K] with M rows of inputs, including quantization of the\n"
    "inputs. limit: the fraction of the machine's peak, measured alternately: a bare loop of dot\n"
    "products or a plain read of the weights' bytes, whichever takes longer. Times are medians.\n"
    "With one thread they are CPU times, which other programs disturb less.\n";

static const struct option table[] = {
    {"m", "LIST", "numbers of rows of inputs, such as 1,8,128"},
    {"n", "N", "rows of the matrix; default 4096"},
    {"k", "K", "columns of the matrix; default 4096"},
    {"group", "G", "columns that share a scale, a multiple of 32; 0: the whole row; default 128"},
    {"kernel", "NAME",
     "only w4a8, w8a8, w4a8g, w8a8g (a scale of x for each group), w4a16,\n"
     "                         w4a32, f32 or xtx (an update of statistics)"},
    {"asym", NULL, "a zero point for each group"},
    {"scales", "FORM", "plain or two-level; default plain"},
    COMMON_OPTIONS,
};

enum { MAX_ROWS = 16, MAX_RING = 64, STREAMS = 3 };
#define BUDGET 0.4 /* seconds per line */

enum { W4A8, W8A8, W4A8G, W8A8G, W4A16, W4A32, F32, XTX, KERNELS };
static const struct {
    const char *name;
    int32_t bits, activations; /* of products with packed matrices */
    int levels;                /* whether it can have two-level scales */
} kernels[] = {
    [W4A8] = {"w4a8", 4, PTQ_ACTIVATIONS_INT8_TOKEN, 1},
    [W8A8] = {"w8a8", 8, PTQ_ACTIVATIONS_INT8_TOKEN, 0},
    [W4A8G] = {"w4a8g", 4, PTQ_ACTIVATIONS_INT8_GROUP, 0},
    [W8A8G] = {"w8a8g", 8, PTQ_ACTIVATIONS_INT8_GROUP, 0},
    [W4A16] = {"w4a16", 4, PTQ_ACTIVATIONS_INT16_TOKEN, 1},
    [W4A32] = {"w4a32", 4, PTQ_ACTIVATIONS_F32, 0},
    [F32] = {"f32", 0, 0, 0},
    [XTX] = {"xtx", 0, 0, 0},
};

struct bench {
    ptq_context *context;
    struct ptqi_json_writer *json;
    int64_t m[MAX_ROWS], count, most; /* most: the largest m */
    int64_t n, k, group;
    int asym, two_level;
    const char *only; /* the kernel to measure; NULL: all */
    float *x, *y, *w;
    ptq_stats *stats; /* X^T X is a part of an update of calibration statistics */
    char *memory;     /* memory for the plain read: ring pieces of least bytes */
    void *scratch;
    int64_t scratch_bytes;
    ptq_linear *linear[MAX_RING];
    ptq_call *call[MAX_RING];
    int64_t ring, least;
    double start[2], end[2]; /* GOP/s of the best instruction set, GB/s: to detect drift */
};

/* One line of the table. */
struct line {
    int kernel;
    int32_t isa, threads;
    int64_t m;
    double seconds, operations, bytes, limit_seconds;
};

static int parse_rows(const struct options *o, struct bench *b)
{
    static const int64_t usual[] = {1, 8, 32, 128, 512};
    const char *text = option_text(o, "m");
    for (b->count = 0; !text && b->count < 5; b->count++)
        b->m[b->count] = usual[b->count];
    for (; text && *text; b->count++) {
        char *end;
        long long m = strtoll(text, &end, 10);
        if (end == text || m < 1 || m > 65536 || b->count == MAX_ROWS ||
            (*end && (*end != ',' || !end[1])))
            return usage_error(o, "--m must be up to %d numbers from 1 to 65536, not \"%s\"",
                               MAX_ROWS, option_text(o, "m"));
        b->m[b->count] = m;
        text = *end ? end + 1 : end;
    }
    if (!b->count)
        return usage_error(o, "--m is empty");
    for (int64_t i = 0; i < b->count; i++)
        b->most = b->m[i] > b->most ? b->m[i] : b->most;
    return 0;
}

static void *get(struct bench *b, int64_t bytes)
{
    return ptqi_alloc_zero(b->context, bytes, 1);
}

static void fill_matrix(const struct bench *b, int32_t bits, int64_t groups, uint8_t *codes,
                        uint8_t *zeros, float *scales, float *row_scales)
{
    for (int64_t i = 0; i < b->n * b->k; i++)
        codes[i] = (uint8_t)(((uint64_t)i * 2654435761u >> 13) & ((1u << bits) - 1));
    for (int64_t i = 0; i < b->n * groups; i++) {
        scales[i] = (float)(1 + i % 7) / 1024.0f; /* f16 exactly */
        zeros[i] = (uint8_t)(i % 16);
    }
    for (int64_t i = 0; i < b->n; i++)
        row_scales[i] = 1.0f / 1024.0f;
}

/* A matrix with arbitrary codes, which do not affect the time. */
static ptq_status make_matrix(struct bench *b, int kernel, ptq_qtensor **q)
{
    const int32_t bits = kernels[kernel].bits;
    PTQI_TRY(ptq_qtensor_create(b->context, b->n, b->k, bits, b->group, q));
    const int64_t groups = ptq_qtensor_groups(*q);
    uint8_t *codes = get(b, b->n * b->k), *zeros = get(b, b->n * groups);
    float *scales = get(b, b->n * groups * 4), *row_scales = get(b, b->n * 4);
    ptq_status status = codes && zeros && scales && row_scales ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status) {
        fill_matrix(b, bits, groups, codes, zeros, scales, row_scales);
        status = ptq_qtensor_set_codes(*q, codes);
    }
    if (!status)
        status = ptq_qtensor_set_scales(*q, scales);
    if (!status && b->asym)
        status = ptq_qtensor_set_zeros(*q, zeros);
    if (!status && b->two_level && kernels[kernel].levels)
        status = ptq_qtensor_set_row_scales(*q, row_scales);
    if (!status)
        status = ptq_qtensor_set_activations(*q, kernels[kernel].activations);
    ptqi_free(b->context, codes);
    ptqi_free(b->context, zeros);
    ptqi_free(b->context, scales);
    ptqi_free(b->context, row_scales);
    return status;
}

/* Codes in their bits, f16 scales or 4-bit levels and one f16 scale per row, zeros in their
 * bits. */
static int64_t least_bytes(const struct bench *b, int32_t bits)
{
    const int64_t groups = b->group ? (b->k + b->group - 1) / b->group : 1;
    const int two_level = b->two_level && bits == 4, scale_bits = two_level ? 4 : 16;
    return (b->n * b->k * bits + b->n * groups * (scale_bits + (b->asym ? bits : 0)) +
            b->n * 16 * two_level) /
           8;
}

static void free_linears(struct bench *b)
{
    for (int i = 0; i < MAX_RING; i++) {
        ptq_call_free(b->call[i]);
        ptq_linear_free(b->linear[i]);
        b->call[i] = NULL;
        b->linear[i] = NULL;
    }
}

/* Call i of the ring, packed and ready to run. */
static ptq_status make_call(struct bench *b, const ptq_qtensor *q, int64_t i)
{
    PTQI_TRY(ptq_linear_create(b->context, q, &b->linear[i]));
    const ptq_linear *linear = b->linear[i];
    PTQI_TRY(ptq_call_create(b->context, &linear, 1, &b->call[i]));
    return ptq_call_set_y(b->call[i], 0, b->y, PTQ_DTYPE_F32, b->most, b->n);
}

/* Creates enough matrices that none is cached when its turn comes. */
static ptq_status make_linears(struct bench *b, int kernel)
{
    const int32_t bits = kernels[kernel].bits;
    ptq_qtensor *q = NULL;
    b->least = least_bytes(b, bits);
    b->ring =
        1 + 4 * limit_cache_bytes() / b->least; /* 4: the CPU may have more cache than it reports */
    b->ring = b->ring < MAX_RING ? b->ring : MAX_RING;
    ptq_status status = make_matrix(b, kernel, &q);
    for (int64_t i = 0; !status && i < b->ring; i++)
        status = make_call(b, q, i);
    ptq_qtensor_free(q);
    if (status)
        return status;
    ptqi_free(b->context, b->memory);
    ptqi_free(b->context, b->scratch);
    b->memory = get(b, b->ring * b->least);
    b->scratch_bytes = ptq_call_scratch_bytes(b->call[0], b->most, 0);
    b->scratch = get(b, b->scratch_bytes);
    return b->memory && b->scratch ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status run_once(struct bench *b, const struct line *l, int64_t turn)
{
    if (l->kernel == F32)
        return ptqi_matmul_linear(b->context, l->m, b->n, b->k, b->x, b->w, b->y);
    if (l->kernel == XTX)
        return ptq_stats_update(b->stats, b->x, PTQ_DTYPE_F32, l->m, b->k, NULL);
    ptq_call *call = b->call[turn % b->ring];
    PTQI_TRY(ptq_call_set_x(call, b->x, PTQ_DTYPE_F32, l->m, b->k));
    return ptq_call_run(call, b->scratch, b->scratch_bytes);
}

/* Times the kernel and its limits alternately. Plain reads use 1, 2 or 4 streams, and the fastest
 * counts. Like the kernel, they read memory that has not been read recently. */
static ptq_status measure(struct bench *b, struct line *l)
{
    const int linear = l->kernel < F32, integer = l->kernel < W4A32;
    const struct limit_loop *loop = limit_find(l->isa, integer);
    const double start = clock_seconds();
    struct samples times = {0}, rates = {0}, reads[STREAMS] = {{0}};
    l->operations = 2.0 * (double)l->m * (double)b->n * (double)b->k;
    if (l->kernel == XTX)
        l->operations = (double)l->m * (double)b->k * (double)(b->k + 1);
    l->bytes = linear ? (double)ptq_linear_bytes(b->linear[0]) : 4.0 * (double)(b->n * b->k);
    PTQI_TRY(run_once(b, l, b->ring - 1)); /* not the first to be timed, which would be cached */
    for (int64_t i = 0; i < MAX_SAMPLES && (i < 5 || clock_seconds() - start < BUDGET); i++) {
        const double at = timing_begin(b->context);
        PTQI_TRY(run_once(b, l, i));
        samples_add(&times, timing_now(b->context) - at);
        if (loop)
            samples_add(&rates, timing_loop_rate(b->context, loop));
        if (linear)
            samples_add(&reads[i % STREAMS],
                        timing_read_seconds(b->context, b->memory + i % b->ring * b->least,
                                            b->least, 1 << i % STREAMS));
    }
    double reading = samples_median(&reads[0]);
    for (int i = 1; i < STREAMS; i++)
        reading = fmin(reading, samples_median(&reads[i]));
    l->seconds = samples_median(&times);
    l->limit_seconds = rates.count ? fmax(l->operations / samples_median(&rates), reading) : 0;
    return PTQ_OK;
}

static void print_line(struct bench *b, const struct line *l)
{
    const double gops = 1e-9 * l->operations / l->seconds, gbps = 1e-9 * l->bytes / l->seconds;
    const double fraction = l->limit_seconds > 0 ? l->limit_seconds / l->seconds : (double)NAN;
    if (!b->json) {
        printf("%-6s %-12s %5lld %7d %10.3f %8.1f %7.1f", kernels[l->kernel].name,
               ptq_isa_name(l->isa), (long long)l->m, l->threads, 1e3 * l->seconds, gops, gbps);
        if (fraction == fraction)
            printf(" %6.2f", fraction);
        printf("\n");
        fflush(stdout);
        return;
    }
    ptqi_json_open(b->json, NULL, '{');
    ptqi_json_add_text(b->json, "kernel", kernels[l->kernel].name);
    ptqi_json_add_text(b->json, "isa", ptq_isa_name(l->isa));
    ptqi_json_add_integer(b->json, "m", l->m);
    ptqi_json_add_integer(b->json, "n", l->kernel == XTX ? b->k : b->n);
    ptqi_json_add_integer(b->json, "k", b->k);
    ptqi_json_add_integer(b->json, "group", b->group);
    ptqi_json_add_text(b->json, "scales",
                       b->two_level && kernels[l->kernel].levels ? "two-level" : "plain");
    ptqi_json_add_integer(b->json, "threads", l->threads);
    ptqi_json_add_number(b->json, "seconds", l->seconds, 6);
    ptqi_json_add_number(b->json, "gops", gops, 6);
    ptqi_json_add_number(b->json, "gbps", gbps, 6);
    ptqi_json_add_number(b->json, "limit_fraction", fraction, 4);
    ptqi_json_close(b->json, '}');
}

/* Which instruction sets and thread counts to measure: those requested, or all usable ones except
 * portable, with one thread and with all. */
struct choice {
    int32_t isa[16], threads[2];
    int isas, counts;
};

static struct choice choose(const struct options *o, const struct bench *b)
{
    struct choice c = {0};
    const int32_t all = ptq_context_threads(b->context);
    if (option_given(o, "isa"))
        c.isa[c.isas++] = ptq_context_isa(b->context);
    for (int32_t i = 0; ptq_isa(i) && !option_given(o, "isa"); i++)
        if (ptq_isa(i) != PTQ_ISA_PORTABLE && ptq_isa_usable(ptq_isa(i)))
            c.isa[c.isas++] = ptq_isa(i);
    if (!c.isas)
        c.isa[c.isas++] = PTQ_ISA_PORTABLE;
    if (!option_given(o, "threads") && all > 1)
        c.threads[c.counts++] = 1;
    c.threads[c.counts++] = all;
    return c;
}

static ptq_status run_kernel(struct bench *b, const struct choice *c, int kernel)
{
    for (int i = 0; i < c->isas; i++) {
        PTQI_TRY(ptq_context_set_isa(b->context, c->isa[i]));
        PTQI_TRY(ptq_context_set_threads(b->context, c->threads[c->counts - 1]));
        ptq_status status = kernel < F32 ? make_linears(b, kernel) : PTQ_OK;
        for (int t = 0; t < c->counts && !status; t++) {
            status = ptq_context_set_threads(b->context, c->threads[t]);
            for (int64_t m = 0; m < b->count && !status; m++) {
                struct line l = {
                    .kernel = kernel, .isa = c->isa[i], .threads = c->threads[t], .m = b->m[m]};
                status = measure(b, &l);
                if (!status)
                    print_line(b, &l);
            }
        }
        free_linears(b);
        PTQI_TRY(status);
    }
    return PTQ_OK;
}

/* The two limits on one thread, the best of many tries: GOP/s and GB/s. */
static void measure_limits(struct bench *b, const struct choice *c, double *out)
{
    const struct limit_loop *loop = limit_find(c->isa[c->isas - 1], 1);
    /* Without permission, AMX instructions kill the process. */
    if (loop && ptq_context_set_isa(b->context, loop->isa))
        loop = NULL;
    ptq_context_set_threads(b->context, 1);
    const int64_t bytes = 4 * limit_cache_bytes();
    char *memory = get(b, bytes);
    out[0] = out[1] = 0;
    for (int i = 0; i < 30; i++) {
        double rate = loop ? timing_loop_rate(b->context, loop) : 0;
        out[0] = 1e-9 * rate > out[0] ? 1e-9 * rate : out[0];
        if (!memory || i % 3)
            continue;
        rate = 1e-9 * (double)bytes /
               timing_read_seconds(b->context, memory, bytes, 1 << i / 3 % STREAMS);
        out[1] = rate > out[1] ? rate : out[1];
    }
    ptqi_free(b->context, memory);
}

/* How far the limits drifted between the beginning and the end of the run. */
static double drift(const struct bench *b)
{
    double worst = 0;
    for (int i = 0; i < 2; i++)
        if (b->start[i] > 0 && b->end[i] > 0)
            worst = fmax(worst, fabs(b->end[i] / b->start[i] - 1));
    return worst;
}

#define QUIET 0.04 /* drift beyond this indicates other load on the machine */

static void report_limits(struct bench *b, const struct choice *c)
{
    const double moved = drift(b);
    if (!b->json) {
        printf("limits at the beginning, at the end, one thread: %.0f, %.0f int8 GOP/s (%s); %.1f, "
               "%.1f GB/s\n",
               b->start[0], b->end[0], ptq_isa_name(c->isa[c->isas - 1]), b->start[1], b->end[1]);
        if (moved > QUIET)
            printf("the machine was not quiet: its limits moved by %.0f %%\n", 100 * moved);
        return;
    }
    ptqi_json_open(b->json, "limits", '{');
    ptqi_json_add_text(b->json, "isa", ptq_isa_name(c->isa[c->isas - 1]));
    ptqi_json_add_number(b->json, "gops", fmax(b->start[0], b->end[0]), 6);
    ptqi_json_add_number(b->json, "gbps", fmax(b->start[1], b->end[1]), 6);
    ptqi_json_add_number(b->json, "moved", moved, 4);
    ptqi_json_add_bool(b->json, "quiet", moved <= QUIET);
    ptqi_json_close(b->json, '}');
}

static int kernel_wanted(const struct bench *b, int kernel)
{
    return !b->only || !strcmp(b->only, kernels[kernel].name);
}

static ptq_status allocate(struct bench *b)
{
    const int floats = kernel_wanted(b, F32);
    b->x = get(b, b->most * b->k * 4);
    b->y = get(b, b->most * b->n * 4);
    b->w = floats ? get(b, b->n * b->k * 4) : NULL;
    if (!b->x || !b->y || (floats && !b->w))
        return PTQ_ERROR_MEMORY;
    if (kernel_wanted(b, XTX))
        PTQI_TRY(ptq_stats_create(b->context, b->k, PTQ_STATS_HESSIAN, &b->stats));
    for (int64_t i = 0; i < b->most * b->k; i++)
        b->x[i] = (float)(i % 251) * 0.01f - 1.25f;
    for (int64_t i = 0; floats && i < b->n * b->k; i++)
        b->w[i] = (float)(i % 127) * 0.01f - 0.63f;
    return PTQ_OK;
}

static ptq_status run(struct bench *b, const struct options *o)
{
    const struct choice c = choose(o, b);
    char cpu[64];
    limit_cpu_name(cpu, (int64_t)sizeof cpu);
    PTQI_TRY(allocate(b));
    if (b->json) {
        ptqi_json_begin(b->json, b->context);
        ptqi_json_open(b->json, NULL, '{');
        ptqi_json_add_text(b->json, "cpu", cpu);
        ptqi_json_open(b->json, "rows", '[');
    } else {
        printf("%s, N %lld, K %lld, group %lld%s%s\n%-6s %-12s %5s %7s %10s %8s %7s %6s\n", cpu,
               (long long)b->n, (long long)b->k, (long long)b->group, b->asym ? ", asym" : "",
               b->two_level ? ", two-level scales" : "", "kernel", "isa", "M", "threads", "ms",
               "GOP/s", "GB/s", "limit");
    }
    measure_limits(b, &c, b->start);
    ptq_status status = PTQ_OK;
    for (int kernel = 0; kernel < KERNELS && !status; kernel++)
        if (kernel_wanted(b, kernel))
            status = run_kernel(b, &c, kernel);
    measure_limits(b, &c, b->end);
    if (b->json)
        ptqi_json_close(b->json, ']');
    report_limits(b, &c);
    if (!b->json)
        return status;
    ptqi_json_close(b->json, '}');
    if (!status)
        return report_print(b->json);
    ptqi_json_end(b->json);
    return status;
}

static int parse(const struct options *o, struct bench *b)
{
    const char *form = option_text(o, "scales");
    b->only = option_text(o, "kernel");
    int known = 0;
    form = form ? form : "plain";
    int failed = parse_rows(o, b);
    if (!failed)
        failed = option_integer(o, "n", 1, 1 << 20, &b->n);
    if (!failed)
        failed = option_integer(o, "k", 1, 1 << 20, &b->k);
    if (!failed)
        failed = option_integer(o, "group", 0, 1 << 20, &b->group);
    if (!failed && b->group % 32)
        return usage_error(o, "--group must be a multiple of 32, or 0");
    if (!failed && strcmp(form, "plain") && strcmp(form, "two-level"))
        return usage_error(o, "--scales must be plain or two-level, not \"%s\"", form);
    b->two_level = !strcmp(form, "two-level");
    for (int i = 0; i < KERNELS && !known; i++)
        known = kernel_wanted(b, i);
    if (!failed && !known)
        return usage_error(o, "there is no kernel \"%s\"", b->only);
    return failed;
}

int command_bench(int argc, char **argv)
{
    struct options o;
    struct bench b = {.n = 4096, .k = 4096, .group = 128};
    struct ptqi_json_writer json;
    int rc = options_parse(&o, "bench", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count)
        return usage_error(&o, "takes no other arguments");
    rc = parse(&o, &b);
    if (rc || (rc = options_context(&o, &b.context)))
        return rc;
    b.json = option_given(&o, "json") ? &json : NULL;
    b.asym = option_given(&o, "asym");
    ptq_status status = run(&b, &o);
    free_linears(&b);
    ptq_stats_free(b.stats);
    void *memory[] = {b.x, b.y, b.w, b.memory, b.scratch};
    for (int i = 0; i < 5; i++)
        ptqi_free(b.context, memory[i]);
    ptq_context_free(b.context);
    return status ? report_failure(status) : 0;
}
