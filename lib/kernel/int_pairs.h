/*
 * The sums of int_template.h if the instruction multiplies two rows of x by two columns, and a
 * vector of four sums is the resulting square: with i = 0 or 1, dot[2p + i][v] and sum[2p + i][v]
 * are
 *
 *   row 2p,     columns 4v + 2i, 4v + 2i + 1,
 *   row 2p + 1, the same columns.
 *
 * If rows is odd, the second row of the last pair is computed from whatever is in memory, and
 * dropped.
 */
#define X_ROWS 2

INLINE VI vi_low_pairs(VI a, VI b)
{
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

INLINE VI vi_high_pairs(VI a, VI b)
{
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

INLINE VF vf_low_pairs(VF a, VF b)
{
    return vreinterpretq_f32_s32(vi_low_pairs(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b)));
}

INLINE VF vf_high_pairs(VF a, VF b)
{
    return vreinterpretq_f32_s32(vi_high_pairs(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b)));
}

/* The negated sums of x for rows m and m + 1, each twice. */
INLINE VI negated_sums(const int rows, int m, const struct ptqi_rows *x)
{
    const int32_t *first = x->sums + m * x->ldsums;
    const int32_t *second = m + 1 < rows ? first + x->ldsums : first;
    return vnegq_s32(vcombine_s32(vld1_dup_s32(first), vld1_dup_s32(second)));
}

INLINE void start_dots(const int rows, const int nv, const struct strip *s, int offset,
                       const struct ptqi_rows *x, VI (*dot)[MAX_NV])
{
    if (!s->zeros && !s->wide_zeros) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2) {
            const VI start = vi_mul(negated_sums(rows, m, x), vi_set1(s->zero));
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = dot[m + 1][v] = start;
        }
        return;
    }
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        const VI zero = zeros_at(s, v, offset);
        const VI low = vi_low_pairs(zero, zero), high = vi_high_pairs(zero, zero);
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2) {
            const VI negated = negated_sums(rows, m, x);
            dot[m][v] = vi_mul(low, negated);
            dot[m + 1][v] = vi_mul(high, negated);
        }
    }
}

/* The scales of x for rows m and m + 1, each twice. */
INLINE VF pair_of_scales(const int rows, int m, const struct ptqi_rows *x)
{
    const float *first = ptqi_group_scale(x, m);
    const float *second = m + 1 < rows ? ptqi_group_scale(x, m + 1) : first;
    return vcombine_f32(vld1_dup_f32(first), vld1_dup_f32(second));
}

/* sum += scale * dot, starting at a column of the panel. x may have scales for the group. */
INLINE void add_scaled(const int rows, const int nv, const uint8_t *scales, int scale_bytes,
                       const int column, const struct ptqi_rows *x, VI (*dot)[MAX_NV],
                       VF (*sum)[MAX_NV])
{
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        const VF scale = scales_at(scales, scale_bytes, column + v * LANES);
        const VF low = vf_low_pairs(scale, scale), high = vf_high_pairs(scale, scale);
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2) {
            VF first = vf_from_vi(dot[m][v]), second = vf_from_vi(dot[m + 1][v]);
            if (x && x->scales) {
                const VF pair = pair_of_scales(rows, m, x);
                first = vf_mul(pair, first);
                second = vf_mul(pair, second);
            }
            sum[m][v] = vf_fma(low, first, sum[m][v]);
            sum[m + 1][v] = vf_fma(high, second, sum[m + 1][v]);
        }
    }
}

/* The same with levels, in wrapping integers. */
INLINE void add_leveled(const int rows, const int nv, const uint8_t *levels, int level_bytes,
                        const int column, VI (*dot)[MAX_NV], VI (*total)[MAX_NV])
{
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        const VI level = levels_at(levels, level_bytes, column + v * LANES);
        const VI low = vi_low_pairs(level, level), high = vi_high_pairs(level, level);
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2) {
            total[m][v] = vi_add(total[m][v], vi_mul(low, dot[m][v]));
            total[m + 1][v] = vi_add(total[m + 1][v], vi_mul(high, dot[m + 1][v]));
        }
    }
}

/* Load from and store to [rows][NR]; the same exchange converts squares to rows and back. */
INLINE void load_dots(const int rows, const int nv, const int32_t *partial, VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m += 2) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const int32_t *from = partial + m * NR + v * LANES;
            const VI first = vi_load(from), second = m + 1 < rows ? vi_load(from + NR) : first;
            dot[m][v] = vi_low_pairs(first, second);
            dot[m + 1][v] = vi_high_pairs(first, second);
        }
    }
}

INLINE void store_dots(const int rows, const int nv, VI (*dot)[MAX_NV], int32_t *partial)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m += 2) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            int32_t *to = partial + m * NR + v * LANES;
            vi_store(to, vi_low_pairs(dot[m][v], dot[m + 1][v]));
            if (m + 1 < rows)
                vi_store(to + NR, vi_high_pairs(dot[m][v], dot[m + 1][v]));
        }
    }
}

INLINE void load_sums(const int rows, const int nv, const float *out, VF (*sum)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m += 2) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const float *from = out + m * NR + v * LANES;
            const VF first = vf_load(from), second = m + 1 < rows ? vf_load(from + NR) : first;
            sum[m][v] = vf_low_pairs(first, second);
            sum[m + 1][v] = vf_high_pairs(first, second);
        }
    }
}

INLINE void store_sums(const int rows, const int nv, VF (*sum)[MAX_NV], float *out)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m += 2) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            float *to = out + m * NR + v * LANES;
            vf_store(to, vf_low_pairs(sum[m][v], sum[m + 1][v]));
            if (m + 1 < rows)
                vf_store(to + NR, vf_high_pairs(sum[m][v], sum[m + 1][v]));
        }
    }
}

/* add_scaled with sums in out [rows][NR]. */
INLINE void add_to_out(const int rows, const int nv, const uint8_t *scales, int scale_bytes,
                       const int column, const struct ptqi_rows *x, VI (*dot)[MAX_NV], float *out)
{
    VF sum[STREAM_MR][MAX_NV];
    load_sums(rows, nv, out, sum);
    add_scaled(rows, nv, scales, scale_bytes, column, x, dot, sum);
    store_sums(rows, nv, sum, out);
}
