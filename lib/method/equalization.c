/*
 * The handle ptq_equalization: creating it, freeing it, reading it.
 */
#include "equalization.h"
#include <math.h>

struct ptq_equalization *ptqi_create_equalization(ptq_context *context, int64_t k)
{
    struct ptq_equalization *e = ptqi_new_handle(context, (int64_t)sizeof *e);
    if (!e)
        return NULL;
    e->context = context;
    e->k = k;
    e->candidate = -1;
    e->loss = (double)NAN;
    return e;
}

void ptq_equalization_free(ptq_equalization *e)
{
    if (!e)
        return;
    ptqi_free(e->context, e->scale);
    ptqi_free_handle(e->context, e);
}

int32_t ptq_equalization_has_scale(const ptq_equalization *equalization)
{
    return equalization && equalization->scale;
}

ptq_status ptq_equalization_scale(const ptq_equalization *equalization, float *out)
{
    PTQI_REQUIRE(NULL, equalization);
    PTQI_REQUIRE(equalization->context, out);
    const ptq_equalization *e = equalization;
    for (int64_t c = 0; c < e->k; c++)
        out[c] = e->scale ? e->scale[c] : 1.0f;
    return PTQ_OK;
}

int32_t ptq_equalization_activations(const ptq_equalization *equalization)
{
    return equalization ? equalization->activations : 0;
}

float ptq_equalization_activation_scale(const ptq_equalization *equalization)
{
    return equalization ? equalization->activation_scale : 0;
}

int32_t ptq_equalization_candidate(const ptq_equalization *equalization)
{
    return equalization ? equalization->candidate : -1;
}

double ptq_equalization_loss(const ptq_equalization *equalization)
{
    return equalization ? equalization->loss : (double)NAN;
}

int32_t ptq_equalization_rotation(const ptq_equalization *equalization)
{
    return equalization ? equalization->rotation : 0;
}

void ptq_equalization_set_folded(ptq_equalization *e)
{
    if (!e)
        return;
    ptqi_free(e->context, e->scale);
    e->scale = NULL;
}
