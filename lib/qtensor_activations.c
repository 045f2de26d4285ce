/*
 * How a product with a quantized matrix quantizes its input: the schemes, and the setters.
 */
#include <string.h>
#include "activations.h"
#include "qtensor.h"

static const struct {
    const char *name;
    int32_t value;
} schemes[] = {
    {"f32", PTQ_ACTIVATIONS_F32},
    {"int8-token", PTQ_ACTIVATIONS_INT8_TOKEN},
    {"int8-tensor", PTQ_ACTIVATIONS_INT8_TENSOR},
    {"int8-static", PTQ_ACTIVATIONS_INT8_STATIC},
    {"uint8-token", PTQ_ACTIVATIONS_UINT8_TOKEN},
    {"uint8-static", PTQ_ACTIVATIONS_UINT8_STATIC},
    {"uint8-centered", PTQ_ACTIVATIONS_UINT8_CENTERED},
    {"int16-token", PTQ_ACTIVATIONS_INT16_TOKEN},
    {"int8-group", PTQ_ACTIVATIONS_INT8_GROUP},
};
enum { SCHEMES = sizeof schemes / sizeof *schemes };

const char *ptq_activations_name(int32_t activations)
{
    for (int i = 0; i < SCHEMES; i++)
        if (schemes[i].value == activations)
            return schemes[i].name;
    return NULL;
}

int ptqi_activations_value(const char *name, int32_t *activations)
{
    for (int i = 0; i < SCHEMES && name; i++)
        if (!strcmp(schemes[i].name, name)) {
            *activations = schemes[i].value;
            return 1;
        }
    return 0;
}

ptq_status ptq_qtensor_set_activations(ptq_qtensor *q, int32_t activations)
{
    PTQI_REQUIRE(NULL, q);
    if (!ptq_activations_name(activations))
        return ptqi_fail(q->context, PTQ_ERROR_BOUNDS, "there is no activation scheme %d",
                         activations);
    q->activations = activations;
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_activation_scale(ptq_qtensor *q, float scale)
{
    PTQI_REQUIRE(NULL, q);
    if (!(scale > 0) || scale - scale != 0)
        return ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                         "the scale of static activations is not positive and finite");
    q->activation_scale = scale;
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_activation_zero(ptq_qtensor *q, int32_t zero)
{
    PTQI_REQUIRE(NULL, q);
    if (zero < 0 || zero > 255)
        return ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                         "the zero point of static activations must be 0 .. 255, not %d", zero);
    q->activation_zero = zero;
    return PTQ_OK;
}

int32_t ptq_qtensor_activations(const ptq_qtensor *q)
{
    return q ? q->activations : 0;
}

float ptq_qtensor_activation_scale(const ptq_qtensor *q)
{
    return q ? q->activation_scale : 0;
}

int32_t ptq_qtensor_activation_zero(const ptq_qtensor *q)
{
    return q ? q->activation_zero : 0;
}
