/*
 * Products of integers with arbitrary groups, for all vector instruction sets. Two columns are
 * multiplied at a time, as pairs of 16-bit numbers, and loaded once for GENERAL_MR rows of x.
 */
#define GENERAL_MR 4
#define GENERAL_NV (PTQI_GENERAL_NR / LANES)

/* Adds columns codes and next, the latter only if both, to the dots. */
INLINE void general_columns(const int rows, const int both, const int16_t *codes, const int16_t *x,
                            int64_t ldx, VI dot[][GENERAL_NV])
{
    static const int16_t nothing[PTQI_GENERAL_NR];
    const int16_t *next = both ? codes + PTQI_GENERAL_NR : nothing;
    VI pairs[GENERAL_NV];
    PTQI_UNROLL
    for (int v = 0; v < GENERAL_NV; v++)
        pairs[v] = vi_pairs(codes + v * LANES, next + v * LANES);
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        int32_t two = 0;
        memcpy(&two, x + m * ldx, both ? 4 : 2);
        PTQI_UNROLL
        for (int v = 0; v < GENERAL_NV; v++)
            dot[m][v] = vi_add_pairs(dot[m][v], pairs[v], vi_set1(two));
    }
}

/* Adds factor times scale to the sums of a row, for each of its columns. */
INLINE void general_add(const float *scales, const VF *factor, float *out)
{
    PTQI_UNROLL
    for (int v = 0; v < GENERAL_NV; v++) {
        const int at = v * LANES;
        vf_store(out + at, vf_fma(vf_load(scales + at), factor[v], vf_load(out + at)));
    }
}

/* Adds a group to the sums of a row, whose scale for it is 1 if all groups have the same. */
INLINE void general_group(const float *scales, const VI *dot, float x_scale, float *out)
{
    VF number[GENERAL_NV];
    PTQI_UNROLL
    for (int v = 0; v < GENERAL_NV; v++)
        number[v] = vf_mul(vf_set1(&x_scale), vf_from_vi(dot[v]));
    general_add(scales, number, out);
}

/* Adds the minima of groups first .. end - 1 to the sums of rows. */
INLINE void general_minima(const int rows, const struct ptqi_general *w, int64_t first, int64_t end,
                           const int32_t *sums, int64_t ldsums, const float *x_scales, float *out)
{
    for (int m = 0; m < rows; m++)
        for (int64_t g = first; g < end; g++) {
            const int64_t at = m * ldsums + g;
            const float x_sum = (x_scales ? x_scales[at] : 1) * (float)sums[at];
            VF factor[GENERAL_NV];
            PTQI_UNROLL
            for (int v = 0; v < GENERAL_NV; v++)
                factor[v] = vf_set1(&x_sum);
            general_add(w->minima + g * PTQI_GENERAL_NR, factor, out + m * PTQI_GENERAL_NR);
        }
}

INLINE void general_rows(const int rows, const struct ptqi_general *w, const int16_t *x,
                         int64_t ldx, const int32_t *sums, int64_t ldsums, const float *x_scales,
                         float *out)
{
    memset(out, 0, (size_t)rows * PTQI_GENERAL_NR * sizeof *out);
    for (int64_t g = 0, i = 0; g < w->groups; g++) {
        const int64_t end = w->group_end[g];
        VI dot[GENERAL_MR][GENERAL_NV];
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            PTQI_UNROLL
            for (int v = 0; v < GENERAL_NV; v++)
                dot[m][v] = vi_zero();
        }
        for (; i + 1 < end; i += 2)
            general_columns(rows, 1, w->codes + i * PTQI_GENERAL_NR, x + i, ldx, dot);
        for (; i < end; i++)
            general_columns(rows, 0, w->codes + i * PTQI_GENERAL_NR, x + i, ldx, dot);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            general_group(w->scales + g * PTQI_GENERAL_NR, dot[m],
                          x_scales ? x_scales[m * ldsums + g] : 1, out + m * PTQI_GENERAL_NR);
        if (w->minima && !w->minima_last)
            general_minima(rows, w, g, g + 1, sums, ldsums, x_scales, out);
    }
    if (w->minima && w->minima_last)
        general_minima(rows, w, 0, w->groups, sums, ldsums, x_scales, out);
}

TARGET static void general(int rows, const struct ptqi_general *w, const int16_t *x, int64_t ldx,
                           const int32_t *sums, int64_t ldsums, const float *x_scales, float *out)
{
    for (int m = 0; m < rows;) {
        const float *scales = x_scales ? x_scales + m * ldsums : NULL;
        const int count = m + GENERAL_MR <= rows ? GENERAL_MR : 1;
        if (count == GENERAL_MR)
            general_rows(GENERAL_MR, w, x + m * ldx, ldx, sums + m * ldsums, ldsums, scales,
                         out + m * PTQI_GENERAL_NR);
        else
            general_rows(1, w, x + m * ldx, ldx, sums + m * ldsums, ldsums, scales,
                         out + m * PTQI_GENERAL_NR);
        m += count;
    }
}
