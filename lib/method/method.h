/*
 * The steps of a call, and the tables of methods. A call is equalized, then rounded:
 *
 *     entry.c -> auto.c -> equalize.c -> awq.c, smoothquant.c, fptq.c
 *                       -> round.c    -> rtn.c, gptq.c, refine.c (GPTQ+)
 *
 * auto.c is skipped if the config leaves nothing open. Each method has one entry in its own file.
 *
 * To add a rounding: write its file with an entry, name it in PTQI_ROUNDINGS, and give it an id in
 * ptq/config.h and a name in config.c. To add an equalizer: the same with PTQI_EQUALIZERS.
 */
#ifndef PTQI_METHOD_H
#define PTQI_METHOD_H

#include "basis.h"
#include "config.h"
#include "curvature.h"
#include "matrices.h"
#include "ptq/stats.h"
#include "qtensor.h"

/* The arguments of one call, for all its steps. */
struct ptqi_call {
    const struct ptq_config *config;
    const struct ptqi_matrices *matrices;
    const struct ptq_stats *stats;            /* of the shared input; or NULL */
    const struct ptq_stats *const *own_stats; /* [count], of each matrix, or NULL; or NULL */
    const int32_t *ties;                      /* [k], channels that share a scale; or NULL */
};

/* Needs of a method. */
enum {
    PTQI_NEEDS_RANGES = 1,  /* statistics that have seen rows */
    PTQI_NEEDS_OUTPUT = 2,  /* their Hessian or sample, to measure an output error */
    PTQI_NEEDS_HESSIAN = 4, /* their Hessian */
    PTQI_NEEDS_FACTOR = 8,  /* its factor, and GPTAQ's correction if the config asks for it */
    PTQI_NEEDS_DAMPED = 16  /* the damped Hessian and the mismatch, besides the factor */
};

/* A rounding chooses the codes of a matrix. */
struct ptqi_rounding {
    int32_t id;       /* PTQ_ROUNDING_... */
    const char *name; /* for messages */
    int32_t needs;
    /* Fills in codes and scales of q, row_scales if it is two-level, and zeros if asymmetric.
     * w [n][k] is the equalized matrix. curvature holds the Hessian and the dead columns if there
     * are statistics, and the rest only if it is needed. */
    ptq_status (*round)(const struct ptq_config *config, const float *w,
                        const struct ptqi_curvature *curvature, struct ptq_qtensor *q);
};

/* An equalizer chooses the scale between input and weights. */
struct ptqi_equalizer {
    int32_t id;       /* PTQ_EQUALIZE_... */
    const char *name; /* for messages */
    int32_t needs;
    /* Not NULL: the equalizer is a rule. Returns the id of the one to use, by max |x|. */
    int32_t (*pick)(const struct ptq_config *config, float max);
    /* Fills in e->scale [k]: finite, positive, equal for tied channels. NULL: there is no scale. */
    ptq_status (*equalize)(const struct ptqi_call *call, const struct ptqi_ranges *ranges,
                           struct ptq_equalization *e);
    /* max |x / s| by the method's own formula. NULL: absmax / s, over all channels. */
    float (*range)(const struct ptqi_ranges *ranges);
};

#define PTQI_ROUNDINGS(ENTRY)                                                                      \
    ENTRY(rtn)                                                                                     \
    ENTRY(gptq)                                                                                    \
    ENTRY(gptq_plus)

#define PTQI_EQUALIZERS(ENTRY)                                                                     \
    ENTRY(none)                                                                                    \
    ENTRY(awq)                                                                                     \
    ENTRY(smoothquant)                                                                             \
    ENTRY(lae)                                                                                     \
    ENTRY(fptq)

#define PTQI_DECLARE(name) extern const struct ptqi_rounding ptqi_rounding_##name;
PTQI_ROUNDINGS(PTQI_DECLARE)
#undef PTQI_DECLARE
#define PTQI_DECLARE(name) extern const struct ptqi_equalizer ptqi_equalizer_##name;
PTQI_EQUALIZERS(PTQI_DECLARE)
#undef PTQI_DECLARE

/* methods.c: the entry of an id. PTQ_ERROR_UNSUPPORTED if there is none. */
ptq_status ptqi_find_rounding(ptq_context *context, int32_t id, const struct ptqi_rounding **entry);
ptq_status ptqi_find_equalizer(ptq_context *context, int32_t id,
                               const struct ptqi_equalizer **entry);

/* equalize.c: makes the equalization of a call whose config leaves nothing open. */
ptq_status ptqi_equalize_call(const struct ptqi_call *call, struct ptq_equalization **e);
/* round.c: equalizes by e and rounds all matrices of such a call. q [count], NULL on failure. */
ptq_status ptqi_round_call(const struct ptqi_call *call, const struct ptq_equalization *e,
                           struct ptq_qtensor **q);

/* auto.c: whether a config leaves something open. */
int ptqi_is_open(const struct ptq_config *config);
/* auto.c: tries candidates for everything that is open. Returns the best equalization in e and its
 * qtensors in q [count]; either may be NULL. */
ptq_status ptqi_choose(const struct ptqi_call *call, struct ptq_equalization **e,
                       struct ptq_qtensor **q);

/* Columns of a full group in a matrix of k columns. */
static inline int64_t ptqi_group_size(const struct ptq_config *config, int64_t k)
{
    const int64_t group = ptqi_config_group(config);
    return group ? ptqi_min(group, k) : k;
}

/* round.c: fails unless a matrix of k columns rounded with this config can be run with these
 * activations, that is, unless its integer sums fit 32 bits. */
ptq_status ptqi_check_runs(const struct ptq_config *config, int32_t activations, int64_t k);

/* rtn.c: out [n][k] = w rounded to nearest and dequantized, in groups of that many columns. */
ptq_status ptqi_rtn_dequantize(const struct ptq_config *config, const float *w, int64_t n,
                               int64_t k, int64_t group, float *out);

/* gptq.c: GPTQ's pass over the columns. metric [k], in quantization order, weighs the columns when
 * scales are searched; NULL: scales are not searched. */
ptq_status ptqi_gptq_pass(const struct ptq_config *config, const float *w,
                          const struct ptqi_curvature *curvature, const float *metric,
                          struct ptq_qtensor *q);

/* clip_awq.c: clips each group of w [n][k], equalized by e, to its best range. */
ptq_status ptqi_clip_awq(const struct ptq_config *config, const struct ptq_stats *stats,
                         const struct ptq_equalization *e, int64_t n, int64_t k, float *w);

/* fptq.c: FPTQ's choice of activations by max |x|. */
int32_t ptqi_fptq_activations(const struct ptq_config *config, float max);

#endif
