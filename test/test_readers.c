/*
 * The logits that another tool gives for a model that ptq wrote, against our own. readers.py makes
 * both: PTQ_READ_MODEL is the directory of the model, PTQ_READ_LOGITS a file with `ids` [tokens]
 * and `logits` [tokens][vocabulary], and PTQ_READ_ALLOWED the largest difference, as a fraction of
 * the largest logit.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/context.h"
#include "logits.h"
#include "test.h"

void test_readers(void);

static void compare(const char *model, const ptq_tensor *ids, const ptq_tensor *theirs)
{
    const char *allowed = getenv("PTQ_READ_ALLOWED");
    const int64_t tokens = ptq_tensor_elements(ids), count = ptq_tensor_elements(theirs);
    float *logits = logits_of(test_context(), model, ptq_tensor_data(ids), tokens);
    if (!logits)
        return;
    const double worst = logits_worst(logits, ptq_tensor_data(theirs), count);
    printf("    logits differ by %.1e of the largest\n", worst);
    CHECK(worst <= (allowed ? atof(allowed) : 0));
    ptqi_free(test_context(), logits);
}

void test_readers(void)
{
    const char *model = getenv("PTQ_READ_MODEL"), *path = getenv("PTQ_READ_LOGITS");
    ptq_store *store;
    ptq_tensor *ids, *theirs;
    if (!model || !path)
        return; /* readers.py says what it skips */
    if (!CHECK_OK(ptq_store_open(test_context(), path, &store)))
        return;
    if (CHECK_OK(ptq_store_tensor(store, "ids", &ids))) {
        if (CHECK_OK(ptq_store_tensor(store, "logits", &theirs))) {
            compare(model, ids, theirs);
            ptq_tensor_free(theirs);
        }
        ptq_tensor_free(ids);
    }
    ptq_store_free(store);
}
