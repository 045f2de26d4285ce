/*
 * A complete program for engine authors: collect statistics of a layer's inputs, quantize its
 * matrix to 4 bits with GPTQ, pack it for this CPU, and run it with int8 activations.
 *
 *     cc embed.c $(pkg-config --cflags --libs libptq) -o embed
 */
#include <ptq/ptq.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 384, K = 576, BATCH = 64, BATCHES = 16, ROWS = 24 };

static float w[N * K], batch[BATCH * K], x[ROWS * K], y[ROWS * N];

/* Functions return a status; the library has a message with details. */
static void check(ptq_status status)
{
    char message[512];
    if (status == PTQ_OK)
        return;
    ptq_last_message(message, (int64_t)sizeof message);
    fprintf(stderr, "%s: %s\n", ptq_status_name(status), message);
    exit(1);
}

/* Uniform in [-1, 1), the same on every machine. */
static float uniform(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

/* Simulates activations: neighbours are correlated, and a few channels are large. */
static void activations(float *out, int rows)
{
    for (int t = 0; t < rows; t++)
        for (int k = 0; k < K; k++) {
            float before = k ? out[t * K + k - 1] : 0.0f;
            out[t * K + k] = 0.7f * before + uniform() * (k % 97 == 5 ? 4.0f : 1.0f);
        }
}

int main(void)
{
    const int64_t shape[2] = {N, K};
    const ptq_tensor *weights[1];
    ptq_context *context;
    ptq_stats *stats;
    ptq_config *config;
    ptq_tensor *weight;
    ptq_qtensor *q;
    ptq_linear *linear;
    const ptq_linear *matrices[1];
    ptq_call *call;
    double lost = 0, whole = 0;

    /* Memory and threads come from a context; ptq_context_create_with_allocator uses your
     * allocator. */
    check(ptq_context_create(&context));

    /* While the model runs in full precision, feed each layer's input to its statistics. */
    check(ptq_stats_create(context, K, PTQ_STATS_HESSIAN, &stats));
    for (int i = 0; i < BATCHES; i++) {
        activations(batch, BATCH);
        check(ptq_stats_update(stats, batch, PTQ_DTYPE_F32, BATCH, K, NULL));
    }

    /* The tensor only refers to the weights; they are not copied. */
    for (int i = 0; i < N * K; i++)
        w[i] = 0.02f * (uniform() + uniform() + uniform());
    check(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, w, &weight));
    check(ptq_tensor_set_name(weight, "embed.weight")); /* for messages */

    /* 4 bits, groups of 64 columns, symmetric; the result runs with int8 activations. */
    check(ptq_config_create(context, PTQ_METHOD_GPTQ, &config));
    check(ptq_config_set_int(config, PTQ_PARAM_BITS, 4));
    check(ptq_config_set_int(config, PTQ_PARAM_GROUP, 64));
    check(ptq_config_parse(config, "activations",
                           "int8-token")); /* the other way to set a parameter */
    weights[0] = weight;
    check(ptq_quantize(config, weights, 1, stats, NULL, &q));
    printf("weight error %.1e, output error %.1e\n", ptq_qtensor_weight_error(q),
           ptq_qtensor_output_error(q));

    /* Pack for this CPU; everything used so far may be freed. */
    check(ptq_linear_create(context, q, &linear));
    printf("%d x %d floats, %d bytes, as %lld bytes for %s\n", N, K, (int)sizeof w,
           (long long)ptq_linear_bytes(linear), ptq_isa_name(ptq_context_isa(context)));
    ptq_qtensor_free(q);
    ptq_config_free(config);
    ptq_tensor_free(weight);
    ptq_stats_free(stats);

    /* y = x W^T. An engine makes one call for all matrices that share x, keeps it, and only points
     * it at new rows. If scratch is NULL, scratch memory comes from the context. An engine that
     * must not allocate passes ptq_call_scratch_bytes bytes of its own, aligned to PTQ_ALIGNMENT.
     */
    activations(x, ROWS);
    matrices[0] = linear;
    check(ptq_call_create(context, matrices, 1, &call));
    check(ptq_call_set_x(call, x, PTQ_DTYPE_F32, ROWS, K));
    check(ptq_call_set_y(call, 0, y, PTQ_DTYPE_F32, ROWS, N));
    check(ptq_call_run(call, NULL, 0));

    /* Its error relative to the floating-point product: |y - x W^T|^2 / |x W^T|^2. */
    for (int t = 0; t < ROWS; t++)
        for (int n = 0; n < N; n++) {
            double exact = 0;
            for (int k = 0; k < K; k++)
                exact += (double)x[t * K + k] * w[n * K + k];
            lost += (y[t * N + n] - exact) * (y[t * N + n] - exact);
            whole += exact * exact;
        }
    printf("relative squared error of the W4A8 product %.4f\n", lost / whole);

    ptq_call_free(call);
    ptq_linear_free(linear);
    ptq_context_free(context);
    return lost / whole < 0.05 ? 0 : 1;
}
