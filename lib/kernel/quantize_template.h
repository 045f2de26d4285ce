/*
 * Quantizes a row of activations, for all vector instruction sets. In addition to what
 * int_template.h lists, the including file defines vi_zero, vi_add, vi_total, vi_max and vi_most
 * (unsigned), vi_and, vf_set1, vf_div, vf_clamp127, vi_from_vf (ties to even) and pack32, which
 * stores 32 integers of -127 .. 127 as bytes.
 */
TARGET static uint32_t magnitude(const float *x, int64_t n)
{
    const VI mask = vi_set1(0x7fffffff);
    VI most[4] = {vi_zero(), vi_zero(), vi_zero(), vi_zero()};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        PTQI_UNROLL
        for (int j = 0; j < 4; j++)
            most[j] = vi_max(most[j], vi_and(vi_load(x + i + j * LANES), mask));
    }
    for (; i + LANES <= n; i += LANES)
        most[0] = vi_max(most[0], vi_and(vi_load(x + i), mask));
    uint32_t result = vi_most(vi_max(vi_max(most[0], most[1]), vi_max(most[2], most[3])));
    for (; i < n; i++) {
        uint32_t a = ptqi_bits(x[i]) & 0x7fffffff;
        result = a > result ? a : result;
    }
    return result;
}

/* Quantizes n columns and returns the sum of q. ahead is added to x to prefetch. */
INLINE int32_t quantize_group(const float *x, float scale, int64_t n, int64_t ahead, int8_t *q)
{
    const VF divisor = vf_set1(&scale);
    int64_t i = 0;
    VI sum = vi_zero();
    for (; i + 32 <= n; i += 32) {
        VI v[32 / LANES];
        PTQI_PREFETCH(x + ahead + i);
        PTQI_PREFETCH(x + ahead + i + 16);
        PTQI_UNROLL
        for (int j = 0; j < 32 / LANES; j++) {
            v[j] = vi_from_vf(vf_clamp127(vf_div(vf_load(x + i + j * LANES), divisor)));
            sum = vi_add(sum, v[j]);
        }
        pack32(q + i, v);
    }
    int32_t total = vi_total(sum);
    for (; i < n; i++) {
        q[i] = NAME(quantize_one)(x[i], scale);
        total += q[i];
    }
    return total;
}

/* n columns ahead is usually the next row: divisions leave the memory enough time to load it. */
TARGET static void quantize(const float *x, float scale, int64_t n, int64_t group, int8_t *q,
                            int32_t *sums)
{
    for (int64_t i = 0; i < n; i += group)
        *sums++ = quantize_group(x + i, scale, ptqi_min(n - i, group), n, q + i);
}

TARGET static void quantize_groups(const float *x, int64_t n, int64_t group, int8_t *q,
                                   int32_t *sums, float *scales)
{
    for (int64_t i = 0; i < n; i += group, sums++, scales++) {
        const int64_t count = ptqi_min(n - i, group);
        *scales = ptqi_from_bits(magnitude(x + i, count)) / 127.0f;
        if (*scales > 0) {
            *sums = quantize_group(x + i, *scales, count, n, q + i);
        } else {
            memset(q + i, 0, (size_t)count);
            *sums = 0;
        }
    }
}
