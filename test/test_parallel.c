/*
 * The caller's parallel_for: it may fail in any of its calls, and has a user pointer per config.
 */
#include <string.h>
#include "base/team.h"
#include "test.h"

void test_parallel(void);

enum { N = 24, K = 320, ROWS = 400, REFUSED = 99 };

/* Runs all parts of its calls except those of number fail_at, of which it runs the first only. */
struct pool {
    int64_t calls, fail_at;
    ptq_status status;
};

static ptq_status run(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    struct pool *pool = user;
    const int fails = ++pool->calls == pool->fail_at;
    for (int64_t part = 0; part < (fails ? 1 : parts); part++)
        body(argument, part);
    return fails ? pool->status : PTQ_OK;
}

struct setting {
    int32_t method;
    const char *name, *value;
};

struct handles {
    ptq_context *context;
    ptq_tensor *weight;
    ptq_stats *stats;
    ptq_config *config;
};

static void fill(float *x, int64_t count, uint64_t seed)
{
    struct random random = {seed};
    for (int64_t i = 0; i < count; i++)
        x[i] = random_normal(&random) * (i % 37 ? 1.0f : 8.0f);
}

static struct handles make(const struct setting *s, struct pool *pool)
{
    static float x[ROWS * K];
    const int64_t shape[2] = {N, K};
    const int32_t flags = PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH;
    struct handles h = {.context = test_failing_context(0)};
    CHECK_OK(ptq_context_set_threads(h.context, 3));
    CHECK_OK(ptq_tensor_create(h.context, PTQ_DTYPE_F32, 2, shape, &h.weight));
    fill(ptq_tensor_data(h.weight), N * K, 1);
    fill(x, ROWS * K, 2);
    CHECK_OK(ptq_stats_create(h.context, K, flags, &h.stats));
    CHECK_OK(ptq_stats_update(h.stats, x, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_OK(ptq_context_set_parallel_for(h.context, run, pool));
    CHECK_OK(ptq_config_create(h.context, s->method, &h.config));
    CHECK_OK(ptq_config_set_int(h.config, PTQ_PARAM_GROUP, 64));
    CHECK_OK(ptq_config_parse(h.config, s->name, s->value));
    return h;
}

static void release(struct handles *h)
{
    ptq_context_free(h->context);
    ptq_config_free(h->config);
    ptq_stats_free(h->stats);
    ptq_tensor_free(h->weight);
    test_free_failing(NULL);
}

static ptq_status quantize(const struct handles *h, ptq_qtensor **q)
{
    const ptq_tensor *weights[1] = {h->weight};
    return ptq_quantize(h->config, weights, 1, h->stats, NULL, q);
}

/* The status of any failed call comes back, nothing is made, and nothing is left behind. */
static void check_failures(const struct setting *s)
{
    static uint8_t codes[N * K], want[N * K];
    struct pool pool = {.status = REFUSED};
    struct handles h = make(s, &pool);
    ptq_qtensor *q;
    char message[512];
    CHECK_OK(quantize(&h, &q));
    CHECK_OK(ptq_qtensor_codes(q, want));
    ptq_qtensor_free(q);
    const int64_t calls = pool.calls;
    CHECK(calls > 0);
    for (int64_t at = 1; at <= calls; at += 1 + at / 16) {
        q = (void *)&pool;
        pool = (struct pool){.fail_at = at, .status = at % 2 ? REFUSED : PTQ_ERROR_CANCELLED};
        CHECK_STATUS(quantize(&h, &q), pool.status);
        CHECK(q == NULL && pool.calls == at);
        ptq_last_message(message, (int64_t)sizeof message);
        CHECK(strstr(message, "parallel_for returned PTQ_ERROR_") != NULL);
    }
    pool = (struct pool){.fail_at = 0};
    CHECK_OK(quantize(&h, &q));
    CHECK_OK(ptq_qtensor_codes(q, codes));
    CHECK(!memcmp(codes, want, sizeof codes));
    ptq_qtensor_free(q);
    release(&h);
}

/* All calls of an operation get the pointer of its config, and those of another config their own.
 */
static void check_users(const struct setting *s)
{
    struct pool of_context = {0}, of_config = {0}, of_copy = {0};
    struct handles h = make(s, &of_context);
    ptq_config *original = h.config, *copy;
    ptq_qtensor *q;
    CHECK_OK(quantize(&h, &q));
    ptq_qtensor_free(q);
    const int64_t calls = of_context.calls;
    CHECK_OK(ptq_config_set_parallel_user(original, &of_config));
    CHECK_OK(ptq_config_copy(original, &copy));
    CHECK_OK(quantize(&h, &q));
    ptq_qtensor_free(q);
    CHECK(of_context.calls == calls && of_config.calls == calls);
    h.config = copy;
    CHECK_OK(quantize(&h, &q));
    ptq_qtensor_free(q);
    CHECK(of_context.calls == calls && of_config.calls == 2 * calls);
    CHECK_OK(ptq_config_set_parallel_user(copy, &of_copy));
    CHECK_OK(quantize(&h, &q));
    ptq_qtensor_free(q);
    CHECK(of_context.calls == calls && of_config.calls == 2 * calls && of_copy.calls == calls);
    h.config = original;
    ptq_config_free(copy);
    release(&h);
}

static void count_part(void *argument, int64_t part)
{
    ((int *)argument)[part]++;
}

static void test_internal(void)
{
    struct pool pool = {0}, other = {.fail_at = 1, .status = PTQ_ERROR_IO};
    ptq_context *context = test_failing_context(0);
    int counts[8] = {0};
    CHECK_OK(ptq_context_set_parallel_for(context, run, &pool));
    CHECK_OK(ptqi_parallel(context, 8, count_part, counts));
    CHECK_STATUS(ptqi_parallel_as(context, &other, 8, count_part, counts), PTQ_ERROR_IO);
    CHECK(pool.calls == 1 && other.calls == 1 && counts[0] == 2 && counts[7] == 1);
    CHECK_OK(ptqi_parallel_as(context, NULL, 1, count_part, counts)); /* one part: no call */
    test_free_failing(context);
}

void test_parallel(void)
{
    static const struct setting settings[] = {
        {PTQ_METHOD_RTN, "bits", "4"},      {PTQ_METHOD_GPTQ, "act-order", "on"},
        {PTQ_METHOD_GPTQ, "gptaq", "0.25"}, {PTQ_METHOD_AWQ, "clip", "on"},
        {PTQ_METHOD_FPTQ, "bits", "4"},     {PTQ_METHOD_AUTO, "effort", "fast"},
    };
    test_internal();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        check_failures(&settings[i]);
        check_users(&settings[i]);
    }
}
