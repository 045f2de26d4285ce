/* A file of calibration statistics, and what a quantizer makes of them. */
#include <stdlib.h>
#include "fuzz.h"

/* Saved and loaded again. */
static void save(const ptq_stats *stats)
{
    ptq_stats *again;
    const char *path = fuzz_path("again.safetensors");
    if (!fuzz_succeeded(ptq_stats_save(stats, path)))
        return;
    fuzz_require(!ptq_stats_load(fuzz_context(), path, &again), "saved statistics can be loaded");
    fuzz_require(ptq_stats_rows(again) == ptq_stats_rows(stats) &&
                     ptq_stats_sample_rows(again) == ptq_stats_sample_rows(stats),
                 "saved statistics are the same");
    fuzz_succeeded(ptq_stats_merge(again, stats));
    ptq_stats_free(again);
}

enum { ROWS = 3, MOST_COLUMNS = 64 };

static void quantize(const ptq_stats *stats, int32_t method)
{
    static float values[ROWS * MOST_COLUMNS];
    const int64_t shape[2] = {ROWS, ptq_stats_k(stats)};
    ptq_tensor *w;
    ptq_config *config = NULL;
    ptq_qtensor *q = NULL;
    for (int i = 0; i < ROWS * MOST_COLUMNS; i++)
        values[i] = (float)(i % 17 - 8) * 0.25f;
    fuzz_require(!ptq_tensor_borrow(fuzz_context(), PTQ_DTYPE_F32, 2, shape, values, &w) &&
                     !ptq_config_create(fuzz_context(), method, &config),
                 "there are weights and settings");
    const ptq_tensor *const weights[] = {w};
    fuzz_succeeded(ptq_quantize(config, weights, 1, stats, NULL, &q));
    ptq_qtensor_free(q);
    ptq_config_free(config);
    ptq_tensor_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct fuzz_part file = {bytes, (int64_t)size};
    ptq_stats *stats;
    if (!fuzz_succeeded(
            ptq_stats_load(fuzz_context(), fuzz_write("stats.safetensors", file), &stats)))
        return 0;
    save(stats);
    for (int32_t i = 0; ptq_stats_k(stats) <= MOST_COLUMNS && ptq_method(i); i++)
        quantize(stats, ptq_method(i));
    ptq_stats_free(stats);
    return 0;
}
