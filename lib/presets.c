/*
 * Methods: their names, and the settings of their original implementations.
 */
#include <string.h>
#include "config.h"

static const struct {
    int32_t id;
    const char *name, *sentence;
} methods[] = {
    {PTQ_METHOD_RTN, "rtn", "rounds to nearest, without data (W4A16)"},
    {PTQ_METHOD_GPTQ, "gptq", "corrects each rounding error in later columns (W4A16)"},
    {PTQ_METHOD_AWQ, "awq", "scales up the weights of large inputs, and clips (W4A16, asymmetric)"},
    {PTQ_METHOD_SMOOTHQUANT, "smoothquant", "moves outliers from inputs to weights (W8A8)"},
    {PTQ_METHOD_FPTQ, "fptq", "equalizes inputs logarithmically, by their range (W4A8)"},
    {PTQ_METHOD_AUTO, "auto", "tries scales, rotation and zero points, keeps the best (W4A8)"},
};
enum { METHODS = sizeof methods / sizeof *methods };

int32_t ptq_method(int32_t index)
{
    return index >= 0 && index < METHODS ? methods[index].id : 0;
}

int32_t ptq_method_from_name(const char *name)
{
    for (int i = 0; name && i < METHODS; i++)
        if (!strcmp(methods[i].name, name))
            return methods[i].id;
    return 0;
}

const char *ptq_method_name(int32_t method)
{
    for (int i = 0; i < METHODS; i++)
        if (methods[i].id == method)
            return methods[i].name;
    return NULL;
}

const char *ptq_method_sentence(int32_t method)
{
    for (int i = 0; i < METHODS; i++)
        if (methods[i].id == method)
            return methods[i].sentence;
    return NULL;
}

void ptqi_apply_preset(struct ptq_config *c)
{
    switch (c->method) {
    case PTQ_METHOD_GPTQ:
        c->rounding = PTQ_ROUNDING_GPTQ;
        break;
    case PTQ_METHOD_AWQ: /* W4A16, zero points */
        c->equalize = PTQ_EQUALIZE_AWQ;
        c->clip = 1;
        c->grid = PTQ_GRID_RANGE;
        c->symmetric = 0;
        break;
    case PTQ_METHOD_SMOOTHQUANT: /* W8A8, weights per row, activations per token (O1) */
        c->equalize = PTQ_EQUALIZE_SMOOTHQUANT;
        c->grid = PTQ_GRID_RANGE;
        c->bits = 8;
        c->group = 0;
        c->activations = PTQ_ACTIVATIONS_INT8_TOKEN;
        break;
    case PTQ_METHOD_FPTQ: /* W4A8 */
        c->equalize = PTQ_EQUALIZE_FPTQ;
        c->grid = PTQ_GRID_ABSMAX;
        c->activations = PTQ_ACTIVATIONS_FPTQ;
        break;
    case PTQ_METHOD_AUTO: /* W4A8 */
        c->rounding = PTQ_ROUNDING_GPTQ_PLUS;
        c->equalize = PTQ_AUTO;
        c->rotate = PTQ_AUTO;
        c->symmetric = PTQ_AUTO;
        c->clip = PTQ_AUTO;
        c->activations = PTQ_ACTIVATIONS_INT8_TOKEN;
        c->scales = PTQ_AUTO;
        break;
    }
}
