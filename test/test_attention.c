/*
 * Attention against its definition in doubles, both the output and A_h x of any rows; and the same
 * bits for any number of threads and any choice of rows.
 */
#include <math.h>
#include <string.h>
#include "base/random.h"
#include "model/architecture.h"
#include "test.h"

void test_attention(void);

enum { ROWS = 133, HEADS = 4, KV_HEADS = 2, D = 8, WIDTH = 5 };

static float q[ROWS * HEADS * D], k[ROWS * KV_HEADS * D], v[ROWS * KV_HEADS * D], x[ROWS * WIDTH];
static double a[HEADS][ROWS][ROWS]; /* probabilities */

static void make_probabilities(const float *slopes)
{
    memset(a, 0, sizeof a);
    for (int h = 0; h < HEADS; h++)
        for (int t = 0; t < ROWS; t++) {
            double most = -INFINITY, sum = 0;
            for (int s = 0; s <= t; s++) {
                double score = 0;
                for (int i = 0; i < D; i++)
                    score += (double)q[(t * HEADS + h) * D + i] *
                             (double)k[(s * KV_HEADS + h / 2) * D + i];
                a[h][t][s] = score / sqrt(D) + (slopes ? (double)slopes[h] * (s - t) : 0);
                most = fmax(most, a[h][t][s]);
            }
            for (int s = 0; s <= t; s++)
                sum += a[h][t][s] = exp(a[h][t][s] - most);
            for (int s = 0; s <= t; s++)
                a[h][t][s] /= sum;
        }
}

static int is_near(float value, double wanted)
{
    return fabs((double)value - wanted) <= 1e-5 * (1 + fabs(wanted));
}

static void check_values(const struct model_config *c, const struct attention_input *in)
{
    static float out[ROWS * HEADS * D], mixed[ROWS * WIDTH];
    ptq_context *context = test_context();
    int good[2] = {1, 1};
    CHECK_OK(attention(context, c, in, ROWS, out));
    for (int h = 0; h < HEADS; h++) {
        CHECK_OK(attention_mix(context, c, in, h, x, WIDTH, ROWS, 1, mixed));
        for (int t = 0; t < ROWS; t++) {
            for (int i = 0; i < D; i++) {
                double sum = 0;
                for (int s = 0; s <= t; s++)
                    sum += a[h][t][s] * (double)v[(s * KV_HEADS + h / 2) * D + i];
                good[0] &= is_near(out[(t * HEADS + h) * D + i], sum);
            }
            for (int i = 0; i < WIDTH; i++) {
                double sum = 0;
                for (int s = 0; s <= t; s++)
                    sum += a[h][t][s] * (double)x[s * WIDTH + i];
                good[1] &= is_near(mixed[t * WIDTH + i], sum);
            }
        }
    }
    CHECK(good[0] && good[1]);
}

static void check_bits(const struct model_config *c, const struct attention_input *in)
{
    static float first[ROWS * WIDTH], again[ROWS * WIDTH];
    ptq_context *context = test_context();
    CHECK_OK(attention_mix(context, c, in, 1, x, WIDTH, ROWS, 1, first));
    for (int threads = 1; threads <= 3; threads++)
        for (int64_t step = 1; step < 2 * ROWS; step = 3 * step - 1) {
            CHECK_OK(ptq_context_set_threads(context, threads));
            CHECK_OK(attention_mix(context, c, in, 1, x, WIDTH, ROWS, step, again));
            for (int64_t i = 0; i * step < ROWS; i++)
                CHECK(!memcmp(first + i * step * WIDTH, again + i * WIDTH, WIDTH * 4));
        }
    ptq_context_set_threads(context, 0);
}

void test_attention(void)
{
    static const float slopes[HEADS] = {0.5f, 0.25f, 0.125f, 0.0625f};
    const struct model_config c = {.heads = HEADS, .kv_heads = KV_HEADS, .head_dim = D};
    struct attention_input in = {.q = q,
                                 .k = k,
                                 .v = v,
                                 .q_row = HEADS * D,
                                 .q_head = D,
                                 .k_row = KV_HEADS * D,
                                 .k_column = 1,
                                 .k_head = D,
                                 .v_row = KV_HEADS * D,
                                 .v_head = D};
    struct random r = {7};
    for (int i = 0; i < ROWS * HEADS * D; i++)
        q[i] = random_normal(&r);
    for (int i = 0; i < ROWS * KV_HEADS * D; i++) {
        k[i] = random_normal(&r);
        v[i] = random_normal(&r);
    }
    for (int i = 0; i < ROWS * WIDTH; i++)
        x[i] = random_normal(&r);
    for (int alibi = 0; alibi < 2; alibi++) {
        in.slopes = alibi ? slopes : NULL;
        make_probabilities(in.slopes);
        check_values(&c, &in);
    }
    check_bits(&c, &in);
}
