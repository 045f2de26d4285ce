/*
 * The public doors: ptq_quantize, ptq_equalize, ptq_quantize_equalized. They check their
 * arguments and load the weights. If the config leaves something open, the call goes to auto.c,
 * otherwise to the steps in equalize.c and round.c.
 */
#include <string.h>
#include "method.h"
#include "ptq/equalize.h"
#include "ptq/quantize.h"
#include "stats.h"
#include "tensor.h"

/* Pointers and count; function is the one that was called. */
static ptq_status check_pointers(const char *function, const ptq_config *config,
                                 const ptq_tensor *const *weights, int64_t count)
{
    PTQI_REQUIRE_FOR(NULL, function, config);
    PTQI_REQUIRE_FOR(config->context, function, weights);
    PTQI_TRY(ptqi_check_count(config->context, function, count));
    for (int64_t i = 0; i < count; i++)
        if (!weights[i])
            return ptqi_fail(config->context, PTQ_ERROR_ARGUMENT, "%s: weights[%lld] is NULL",
                             function, (long long)i);
    return PTQ_OK;
}

/* All results are NULL on failure, whatever fails. */
static ptq_status clear_results(const char *function, const ptq_config *config, int64_t count,
                                ptq_qtensor **q)
{
    ptq_context *context = config ? config->context : NULL;
    PTQI_REQUIRE_FOR(context, function, q);
    PTQI_TRY(ptqi_check_count(context, function, count));
    memset(q, 0, (size_t)count * sizeof *q);
    return PTQ_OK;
}

/* Squares of inputs below about 1e-23 are 0 in f32, so that their channels look dead. */
static void report_underflow(ptq_context *context, const struct ptq_stats *stats)
{
    int64_t count = 0;
    if (!stats || !stats->hessian)
        return;
    for (int64_t i = 0; i < stats->k; i++)
        count += stats->hessian[i * stats->k + i] == 0 &&
                 (stats->minimum[i] < 0 || stats->maximum[i] > 0);
    if (count)
        ptqi_log_line(context, PTQ_LOG_WARNING,
                      "%lld channels have inputs whose squares are 0 in f32; they count as unused",
                      (long long)count);
}

/* Checks the config and the weights, once for the call, and widens them. */
static ptq_status load(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                       const ptq_stats *stats, struct ptqi_matrices *matrices)
{
    PTQI_TRY(ptq_config_check(config));
    PTQI_TRY(ptqi_check_shapes(config->context, weights, count));
    PTQI_TRY(ptqi_check_runs(config, config->activations, weights[0]->shape[1]));
    report_underflow(config->context, stats);
    return ptqi_load_matrices(config->context, weights, count, matrices);
}

ptq_status ptq_equalize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const int32_t *ties,
                        ptq_equalization **equalization)
{
    struct ptqi_matrices matrices;
    PTQI_REQUIRE(config ? config->context : NULL, equalization);
    *equalization = NULL;
    PTQI_TRY(check_pointers(__func__, config, weights, count));
    PTQI_TRY(load(config, weights, count, stats, &matrices));
    const struct ptqi_call call = {
        .config = config, .matrices = &matrices, .stats = stats, .ties = ties};
    ptq_status status = ptqi_is_open(config) ? ptqi_choose(&call, equalization, NULL)
                                             : ptqi_equalize_call(&call, equalization);
    ptqi_free_matrices(config->context, &matrices);
    return status;
}

/* The config, completed by the choices that auto made with the equalization. */
static struct ptq_config with_choice(const struct ptq_config *config,
                                     const struct ptq_equalization *e)
{
    struct ptq_config resolved = *config;
    if (e->chosen) {
        resolved.equalize = e->choice;
        resolved.symmetric = e->symmetric;
        resolved.clip = e->clip;
        resolved.rotate = e->rotation;
    }
    return resolved;
}

ptq_status ptq_quantize_equalized(const ptq_config *config, const ptq_equalization *equalization,
                                  const ptq_tensor *const *weights, int64_t count,
                                  const ptq_stats *stats, const ptq_stats *const *own_stats,
                                  ptq_qtensor **q)
{
    struct ptqi_matrices matrices;
    PTQI_TRY(clear_results(__func__, config, count, q));
    PTQI_TRY(check_pointers(__func__, config, weights, count));
    PTQI_REQUIRE(config->context, equalization);
    const struct ptq_config resolved = with_choice(config, equalization);
    if (ptqi_is_open(&resolved))
        return ptqi_fail(
            config->context, PTQ_ERROR_CONFLICT,
            "the config leaves a setting open that the equalization does not determine");
    PTQI_TRY(load(&resolved, weights, count, stats, &matrices));
    const struct ptqi_call call = {
        .config = &resolved, .matrices = &matrices, .stats = stats, .own_stats = own_stats};
    ptq_status status = ptqi_round_call(&call, equalization, q);
    ptqi_free_matrices(config->context, &matrices);
    return status;
}

/* A call whose config leaves nothing open. */
static ptq_status quantize_closed(const struct ptqi_call *call, ptq_qtensor **q)
{
    ptq_equalization *e;
    PTQI_TRY(ptqi_equalize_call(call, &e));
    ptq_status status = ptqi_round_call(call, e, q);
    ptq_equalization_free(e);
    return status;
}

ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const ptq_stats *const *own_stats, ptq_qtensor **q)
{
    struct ptqi_matrices matrices;
    PTQI_TRY(clear_results(__func__, config, count, q));
    PTQI_TRY(check_pointers(__func__, config, weights, count));
    PTQI_TRY(load(config, weights, count, stats, &matrices));
    const struct ptqi_call call = {
        .config = config, .matrices = &matrices, .stats = stats, .own_stats = own_stats};
    ptq_status status =
        ptqi_is_open(config) ? ptqi_choose(&call, NULL, q) : quantize_closed(&call, q);
    ptqi_free_matrices(config->context, &matrices);
    return status;
}
