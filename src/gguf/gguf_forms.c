#include "gguf/gguf_forms.h"
#include <string.h>
#include "base/context.h"

static const struct gguf_form forms[] = {
    {"Q4_0", 4, PTQ_SCALES_SIGNED, NULL},  {"Q4_1", 4, PTQ_SCALES_MINIMA, NULL},
    {"Q5_0", 5, PTQ_SCALES_SIGNED, NULL},  {"Q5_1", 5, PTQ_SCALES_MINIMA, NULL},
    {"Q8_0", 8, PTQ_SCALES_PLAIN, NULL},   {"Q4_K", 4, PTQ_SCALES_SUPER, "Q5_0"},
    {"Q5_K", 5, PTQ_SCALES_SUPER, "Q5_1"}, {"Q6_K", 6, PTQ_SCALES_SUPER, "Q8_0"},
};

const struct gguf_form *gguf_form(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (!strcmp(forms[i].name, name))
            return &forms[i];
    return NULL;
}

const struct gguf_form *gguf_form_for(const struct gguf_form *form, int64_t k)
{
    if (k % 32)
        return NULL;
    return form->fallback && k % 256 ? gguf_form(form->fallback) : form;
}

/* Scales of 8 bits are like llama.cpp's: the largest weight becomes the last code. Others are
 * searched. */
static ptq_status configure(ptq_config *config, const struct gguf_form *form)
{
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_BITS, form->bits));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_GROUP, 32));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_SCALES, form->scales));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_F16));
    if (form->scales == PTQ_SCALES_PLAIN)
        return ptq_config_set_int(config, PTQ_PARAM_GRID, PTQ_GRID_ABSMAX);
    return ptq_config_set_int(config, PTQ_PARAM_MSE, form->scales == PTQ_SCALES_SIGNED);
}

ptq_status gguf_round_tokens(const struct model *m, const char *type, const ptq_tensor *weights,
                             ptq_qtensor **q)
{
    ptq_config *config;
    PTQI_TRY(ptq_config_create(m->context, PTQ_METHOD_RTN, &config));
    ptq_status status = configure(config, gguf_form_for(gguf_form(type), m->config.hidden));
    if (!status)
        status = ptq_quantize(config, &weights, 1, NULL, NULL, q);
    ptq_config_free(config);
    return status;
}
