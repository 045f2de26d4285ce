/*
 * bench: how fast ptq_linear runs on this machine. For each instruction set, kind of activations,
 * number of rows and of threads: the median time of several runs, operations and bytes per second.
 *
 *     make bench      or      build/bench [N K GROUP]
 *
 * Times of a noisy machine mean little by themselves; compare rows of one run.
 */
#include <ptq/ptq.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 9 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(ptq_status status)
{
    char message[512];
    if (status == PTQ_OK)
        return;
    ptq_last_message(message, (int64_t)sizeof message);
    fprintf(stderr, "%s: %s\n", ptq_status_name(status), message);
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A 4-bit matrix with arbitrary codes; what they are does not change the time. */
static ptq_qtensor *make_matrix(ptq_context *context, int64_t n, int64_t k, int64_t group)
{
    ptq_qtensor *q;
    check(ptq_qtensor_create(context, n, k, 4, group, &q));
    int64_t groups = ptq_qtensor_groups(q);
    uint8_t *codes = malloc((size_t)(n * k));
    float *scales = malloc((size_t)(n * groups) * sizeof *scales);
    if (!codes || !scales)
        exit(1);
    for (int64_t i = 0; i < n * k; i++)
        codes[i] = (uint8_t)((i * 2654435761u >> 13) & 15);
    for (int64_t i = 0; i < n * groups; i++)
        scales[i] = 0.01f + 0.0001f * (float)(i % 7);
    check(ptq_qtensor_set_codes(q, codes));
    check(ptq_qtensor_set_scales(q, scales));
    free(codes);
    free(scales);
    return q;
}

/* The median time of a forward call with rows rows. */
static double time_forward(const ptq_linear *linear, int64_t rows)
{
    int64_t n = ptq_linear_n(linear), k = ptq_linear_k(linear);
    float *x = malloc((size_t)(rows * k) * sizeof *x), *y = malloc((size_t)(rows * n) * sizeof *y);
    void *scratch = NULL;
    double times[RUNS];
    if (posix_memalign(&scratch, PTQ_ALIGNMENT, (size_t)ptq_linear_scratch_bytes(linear, rows)) ||
        !x || !y)
        exit(1);
    for (int64_t i = 0; i < rows * k; i++)
        x[i] = (float)(i % 251) * 0.01f - 1.25f;
    for (int r = -1; r < RUNS; r++) { /* the first run warms up */
        double start = now();
        check(ptq_linear_forward(linear, x, PTQ_F32, rows, k, y, PTQ_F32, n, scratch));
        if (r >= 0)
            times[r] = now() - start;
    }
    qsort(times, RUNS, sizeof *times, ascending);
    free(x);
    free(y);
    free(scratch);
    return times[RUNS / 2];
}

int main(int argc, char **argv)
{
    static const int64_t rows[] = {1, 8, 32, 128, 512};
    int64_t n = argc > 1 ? atoll(argv[1]) : 4096, k = argc > 2 ? atoll(argv[2]) : 4096;
    int64_t group = argc > 3 ? atoll(argv[3]) : 128;
    ptq_context *context;
    check(ptq_context_create(&context));
    int32_t most = ptq_context_threads(context);
    ptq_qtensor *q = make_matrix(context, n, k, group);
    printf("%lld x %lld, 4 bits, group %lld; median of %d runs\n", (long long)n, (long long)k,
           (long long)group, RUNS);
    printf("%-12s %-11s %7s %5s %11s %9s %8s\n", "isa", "activations", "threads", "rows", "ms",
           "GOP/s", "GB/s");
    for (int32_t isa = PTQ_ISA_AVX2; isa < 64; isa++)
        for (int32_t activations = 0; activations < 2 && ptq_isa_usable(isa); activations++)
            for (int32_t threads = 1; threads <= most; threads = threads < most ? most : most + 1) {
                ptq_linear *linear;
                check(ptq_context_set_isa(context, isa));
                check(ptq_context_set_threads(context, threads));
                check(ptq_qtensor_set_activations(q, activations));
                check(ptq_linear_create(context, q, &linear));
                for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                    double t = time_forward(linear, rows[i]);
                    double operations = 2.0 * (double)rows[i] * (double)n * (double)k;
                    printf("%-12s %-11s %7d %5lld %11.3f %9.1f %8.1f\n", ptq_isa_name(isa),
                           activations ? "int8-token" : "f32", threads, (long long)rows[i], 1e3 * t,
                           1e-9 * operations / t, 1e-9 * (double)ptq_linear_bytes(linear) / t);
                }
                ptq_linear_free(linear);
            }
    ptq_qtensor_free(q);
    ptq_context_free(context);
    return 0;
}
