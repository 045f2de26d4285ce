/*
 * The sums of int_template.h if a vector holds adjacent columns of one row of x: dot[m][v] and
 * sum[m][v] are row m, columns v * LANES .. of the strip.
 */
#define X_ROWS 1

/* dot = -zero * sum of x, for each row; a single number if all columns have one zero. */
INLINE void start_dots(const int rows, const int nv, const struct strip *s, int offset,
                       const struct ptqi_rows *x, VI (*dot)[MAX_NV])
{
    if (!s->zeros && !s->wide_zeros) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            VI start =
                vi_set1((int32_t)(0u - (uint32_t)s->zero * (uint32_t)x->sums[m * x->ldsums]));
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = start;
        }
        return;
    }
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        VI zero = zeros_at(s, v, offset);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            dot[m][v] = vi_mul(zero, vi_set1((int32_t)(0u - (uint32_t)x->sums[m * x->ldsums])));
    }
}

/* total += level * dot, wrapping, starting at a column of the panel. */
INLINE void add_leveled(const int rows, const int nv, const uint8_t *levels, int level_bytes,
                        const int column, VI (*dot)[MAX_NV], VI (*total)[MAX_NV])
{
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        const VI level = levels_at(levels, level_bytes, column + v * LANES);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            total[m][v] = vi_add(total[m][v], vi_mul(level, dot[m][v]));
    }
}

/* The sums of a group as f32, times the scales of x for it if it has any. */
INLINE void to_floats(const int rows, const int nv, const struct ptqi_rows *x, VI (*dot)[MAX_NV],
                      VF (*number)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            number[m][v] = vf_from_vi(dot[m][v]);
    }
    if (!x || !x->scales)
        return;
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        const VF scale = vf_set1(ptqi_group_scale(x, m));
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            number[m][v] = vf_mul(scale, number[m][v]);
    }
}

/* sum += scale * dot, starting at a column of the panel. x may have scales for the group. */
INLINE void add_scaled(const int rows, const int nv, const uint8_t *scales, int scale_bytes,
                       const int column, const struct ptqi_rows *x, VI (*dot)[MAX_NV],
                       VF (*sum)[MAX_NV])
{
    VF number[ROWS_AT_ONCE][MAX_NV];
    to_floats(rows, nv, x, dot, number);
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        const VF scale = vf_held(scales_at(scales, scale_bytes, column + v * LANES));
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            sum[m][v] = vf_fma(scale, number[m][v], sum[m][v]);
    }
}

/* The same with sums in out [rows][NR], one at a time, because registers cannot hold them all. */
INLINE void add_to_out(const int rows, const int nv, const uint8_t *scales, int scale_bytes,
                       const int column, const struct ptqi_rows *x, VI (*dot)[MAX_NV], float *out)
{
    VF scale[MAX_NV], number[ROWS_AT_ONCE][MAX_NV];
    to_floats(rows, nv, x, dot, number);
    PTQI_UNROLL
    for (int v = 0; v < nv; v++)
        scale[v] = vf_held(scales_at(scales, scale_bytes, column + v * LANES));
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            float *sum = out + m * NR + v * LANES;
            vf_store(sum, vf_fma(scale[v], number[m][v], vf_load(sum)));
        }
    }
}

/* Load from and store to [rows][NR]. */
INLINE void load_dots(const int rows, const int nv, const int32_t *partial, VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            dot[m][v] = vi_load(partial + m * NR + v * LANES);
    }
}

INLINE void store_dots(const int rows, const int nv, VI (*dot)[MAX_NV], int32_t *partial)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vi_store(partial + m * NR + v * LANES, dot[m][v]);
    }
}

INLINE void load_sums(const int rows, const int nv, const float *out, VF (*sum)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            sum[m][v] = vf_load(out + m * NR + v * LANES);
    }
}

INLINE void store_sums(const int rows, const int nv, VF (*sum)[MAX_NV], float *out)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vf_store(out + m * NR + v * LANES, sum[m][v]);
    }
}
