/*
 * Quantizes a row of activations, for all vector instruction sets. In addition to what
 * int_template.h lists, the including file defines vi_zero, vi_add, vi_total, vi_max (unsigned),
 * vi_and, vf_set1, vf_div, vf_clamp127, vi_from_vf (ties to even) and pack32, which stores 32
 * integers of -127 .. 127 as bytes.
 */
TARGET static uint32_t magnitude(const float *x, int64_t n)
{
    const VI mask = vi_set1(0x7fffffff);
    VI most[4] = {vi_zero(), vi_zero(), vi_zero(), vi_zero()};
    uint32_t lane[LANES], result = 0;
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        PTQI_UNROLL
        for (int j = 0; j < 4; j++)
            most[j] = vi_max(most[j], vi_and(vi_load(x + i + j * LANES), mask));
    }
    most[0] = vi_max(vi_max(most[0], most[1]), vi_max(most[2], most[3]));
    vi_store(lane, most[0]);
    for (int j = 0; j < LANES; j++)
        result = lane[j] > result ? lane[j] : result;
    for (; i < n; i++) {
        uint32_t a = ptqi_bits(x[i]) & 0x7fffffff;
        result = a > result ? a : result;
    }
    return result;
}

TARGET static void quantize(const float *x, float scale, int64_t n, int64_t group, int8_t *q,
                            int32_t *sums)
{
    const VF divisor = vf_set1(&scale);
    for (int64_t begin = 0; begin < n; begin += group) {
        const int64_t end = n - begin < group ? n : begin + group;
        int64_t i = begin;
        VI sum = vi_zero();
        for (; i + 32 <= end; i += 32) {
            VI v[32 / LANES];
            /* Usually the next row: divisions leave the memory enough time to load it. */
            PTQI_PREFETCH(x + n + i);
            PTQI_PREFETCH(x + n + i + 16);
            PTQI_UNROLL
            for (int j = 0; j < 32 / LANES; j++) {
                v[j] = vi_from_vf(vf_clamp127(vf_div(vf_load(x + i + j * LANES), divisor)));
                sum = vi_add(sum, v[j]);
            }
            pack32(q + i, v);
        }
        int32_t total = vi_total(sum);
        for (; i < end; i++) {
            q[i] = NAME(quantize_one)(x[i], scale);
            total += q[i];
        }
        *sums++ = total;
    }
}
