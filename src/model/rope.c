/*
 * Rotary position embeddings (Su et al., arXiv 2104.09864): pairs of numbers of a head are rotated
 * by position * theta^(-2i / d), or by an angle that is adapted to more positions than the model
 * was trained on. The kinds of scaling are those of transformers' modeling_rope_utils.py.
 */
#include <math.h>
#include "base/context.h"
#include "base/exact.h"
#include "model/architecture.h"

static const double pi = 3.14159265358979323846;

/* Dynamic NTK: theta grows with windows beyond max_position_embeddings. */
static double theta_for(const struct model_config *c, const struct rope *rope, int64_t length)
{
    const double d = (double)c->rope_dimensions, positions = (double)c->max_positions;
    if (rope->kind != ROPE_DYNAMIC || length <= c->max_positions || d <= 2)
        return rope->theta;
    const double growth = rope->factor * (double)length / positions - (rope->factor - 1);
    return rope->theta * ptqi_pow(growth, d / (d - 2));
}

double rope_llama3(const struct rope *rope, double frequency)
{
    const double waves = rope->original_positions * frequency / (2 * pi);
    if (waves < rope->low_freq_factor)
        return frequency / rope->factor;
    if (waves > rope->high_freq_factor)
        return frequency;
    const double smooth =
        (waves - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

/* YaRN (Peng et al., arXiv 2309.00071): the pair of numbers that makes this many rotations within
 * the original positions. */
static double yarn_pair(const struct rope *rope, double d, double rotations)
{
    return d * ptqi_log(rope->original_positions / (rotations * 2 * pi)) /
           (2 * ptqi_log(rope->theta));
}

static double yarn(const struct rope *rope, int64_t dimensions, int64_t i, double frequency)
{
    const double d = (double)dimensions;
    double low = yarn_pair(rope, d, rope->beta_fast), high = yarn_pair(rope, d, rope->beta_slow);
    if (!rope->keep_fractions) {
        low = floor(low);
        high = ceil(high);
    }
    low = low > 0 ? low : 0;
    high = high < d - 1 ? high : d - 1;
    high = high == low ? high + 0.001 : high;
    double ramp = ((double)i - low) / (high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    return frequency / rope->factor * ramp + frequency * (1 - ramp);
}

/* LongRoPE (Ding et al., arXiv 2402.13753): a factor for each pair, from one list for short windows
 * and from another for long ones. */
static double longrope(const struct rope *rope, int64_t i, int64_t length, double frequency)
{
    const int is_long = (double)length > rope->original_positions;
    const struct ptqi_json *factor = (is_long ? rope->long_factor : rope->short_factor)->first;
    for (; i > 0; i--)
        factor = factor->next;
    return frequency / factor->number;
}

/* The angle of pair i between two positions, for a window of length tokens. */
static double frequency_of(const struct model_config *c, const struct rope *rope, int64_t i,
                           int64_t length)
{
    const double frequency =
        ptqi_pow(theta_for(c, rope, length), -2 * (double)i / (double)c->rope_dimensions);
    switch (rope->kind) {
    case ROPE_LINEAR:
        return frequency / rope->factor;
    case ROPE_LLAMA3:
        return rope_llama3(rope, frequency);
    case ROPE_YARN:
        return yarn(rope, c->rope_dimensions, i, frequency);
    case ROPE_LONGROPE:
        return longrope(rope, i, length, frequency);
    case ROPE_DEFAULT:
    case ROPE_DYNAMIC:
        break;
    }
    return frequency;
}

static double yarn_scale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * ptqi_log(factor) + 1;
}

/* What cos and sin are multiplied by. */
static double amplitude(const struct rope *rope)
{
    if (rope->kind != ROPE_YARN && rope->kind != ROPE_LONGROPE)
        return 1;
    if (rope->attention_factor > 0)
        return rope->attention_factor;
    if (rope->kind == ROPE_LONGROPE)
        return rope->factor <= 1
                   ? 1
                   : sqrt(1 + ptqi_log(rope->factor) / ptqi_log(rope->original_positions));
    if (rope->mscale > 0 && rope->mscale_all_dim > 0)
        return yarn_scale(rope->factor, rope->mscale) /
               yarn_scale(rope->factor, rope->mscale_all_dim);
    return yarn_scale(rope->factor, 1);
}

/* The length of a window beyond which its angles change, if they depend on the length. */
static double length_limit(const struct model_config *c, const struct rope *rope)
{
    return rope->kind == ROPE_LONGROPE ? rope->original_positions : (double)c->max_positions;
}

/* Whether a table serves a window of rows tokens. */
static int is_prepared(const struct model_config *c, const struct rope *rope,
                       const struct rope_table *table, int64_t rows)
{
    const double own = (double)table->length, wanted = (double)rows;
    const double limit = length_limit(c, rope);
    if (rows > table->rows)
        return 0;
    if (rope->kind == ROPE_DYNAMIC)
        return own == wanted || (own <= limit && wanted <= limit);
    return rope->kind != ROPE_LONGROPE || (own > limit) == (wanted > limit);
}

/* The size of a new table. It is twice that of the old one if angles of a window of length tokens
 * serve more positions, so that a text that grows token by token rarely needs a new one. */
static int64_t table_rows(const struct model_config *c, const struct rope *rope, int64_t length,
                          int64_t old)
{
    if (rope->kind == ROPE_DYNAMIC && (double)length > length_limit(c, rope))
        return length;
    return ptqi_max(length, 2 * old);
}

/* cos and sin of the angles, for at least length positions. */
static ptq_status prepare(const struct model *m, const struct rope *rope, int64_t length,
                          struct rope_table *table)
{
    const int64_t half = m->config.rope_dimensions / 2;
    const int64_t rows = table_rows(&m->config, rope, length, table->rows);
    const double scale = amplitude(rope);
    if (is_prepared(&m->config, rope, table, length))
        return PTQ_OK;
    ptqi_free(m->context, table->cos);
    ptqi_free(m->context, table->sin);
    table->rows = 0;
    table->cos = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    table->sin = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    if (!table->cos || !table->sin)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < half; i++) {
        const double frequency = frequency_of(&m->config, rope, i, length);
        for (int64_t t = 0; t < rows; t++) {
            table->cos[t * half + i] = (float)(scale * ptqi_cos((double)t * frequency));
            table->sin[t * half + i] = (float)(scale * ptqi_sin((double)t * frequency));
        }
    }
    table->rows = rows;
    table->length = length;
    return PTQ_OK;
}

ptq_status rope_prepare(struct model *m, int64_t rows)
{
    PTQI_TRY(prepare(m, &m->config.rope, rows, &m->rope));
    if (!(m->config.local_rope.theta > 0))
        return PTQ_OK;
    return prepare(m, &m->config.local_rope, rows, &m->local_rope);
}

/* Rotates pairs (i, i + d/2) of the first d numbers of each head: the "rotate half" form. */
void rope_apply(const struct model *m, const struct block *b, int64_t position, float *x,
                int64_t rows, int64_t heads, int64_t row_stride)
{
    const struct model_config *config = &m->config;
    const int64_t half = config->rope_dimensions / 2;
    const int local = config->local_rope.theta > 0 && config->windows && config->windows[b->index];
    const struct rope_table *table = local ? &m->local_rope : &m->rope;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < heads; h++) {
            float *low = x + t * row_stride + h * config->head_dim, *high = low + half;
            const float *c = table->cos + (position + t) * half;
            const float *s = table->sin + (position + t) * half;
            for (int64_t i = 0; i < half; i++) {
                float p = low[i], q = high[i];
                low[i] = p * c[i] - q * s[i];
                high[i] = q * c[i] + p * s[i];
            }
        }
}
