/*
 * SmolLM2-135M, a real model, in the directory PTQ_SMOLLM2: the logits that transformers gives,
 * every 127th of them, as recorded by smollm2_logits.py. real.sh makes the model and runs this.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/context.h"
#include "logits.h"
#include "test.h"

void test_smollm2(void);

static void check(const char *directory, const ptq_tensor *ids, const ptq_tensor *wanted)
{
    enum { STRIDE = 127, VOCABULARY = 49152 };
    const int64_t rows = ptq_tensor_size(wanted, 0), columns = ptq_tensor_size(wanted, 1);
    float *logits = logits_of(test_context(), directory, ptq_tensor_data(ids), rows);
    if (!logits)
        return;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < columns; i++)
            logits[t * columns + i] = logits[t * VOCABULARY + i * STRIDE];
    const double worst = logits_worst(logits, ptq_tensor_data(wanted), rows * columns);
    printf("    logits differ by %.1e of the largest\n", worst);
    CHECK(worst <= 1e-5);
    ptqi_free(test_context(), logits);
}

void test_smollm2(void)
{
    const char *directory = getenv("PTQ_SMOLLM2");
    ptq_store *store;
    ptq_tensor *ids, *wanted;
    if (!directory) {
        test_skip("PTQ_SMOLLM2 does not name the directory of SmolLM2-135M");
        return;
    }
    if (!CHECK_OK(ptq_store_open(test_context(), test_data("smollm2-logits.safetensors"), &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "ids", &ids));
    CHECK_OK(ptq_store_tensor(store, "logits", &wanted));
    check(directory, ids, wanted);
    ptq_tensor_free(ids);
    ptq_tensor_free(wanted);
    ptq_store_free(store);
}
