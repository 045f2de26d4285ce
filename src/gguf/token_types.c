#include "gguf/token_types.h"
#include "base/context.h"

struct setting {
    const char *name, *value;
};

static const struct {
    int64_t bits;
    struct setting settings[4];
} types[] = {
    {4, {{"bits", "4"}, {"group", "32"}, {"scales", "signed"}, {"mse", "on"}}},
    {5, {{"bits", "5"}, {"group", "32"}, {"scales", "signed"}, {"mse", "on"}}},
    {6, {{"bits", "6"}, {"scales", "super"}}},
    {8, {{"bits", "8"}, {"group", "32"}, {"grid", "absmax"}}},
};
enum { TYPES = sizeof types / sizeof *types };

static ptq_status configure(ptq_config *config, int64_t bits)
{
    int i = 0;
    while (i < TYPES - 1 && types[i].bits != bits)
        i++;
    for (const struct setting *s = types[i].settings; s < types[i].settings + 4 && s->name; s++)
        PTQI_TRY(ptq_config_parse(config, s->name, s->value));
    return ptq_config_parse(config, "scale-dtype", "f16");
}

ptq_status token_type_quantize(const struct model *m, int64_t bits, const ptq_tensor *weights,
                               ptq_qtensor **q)
{
    ptq_config *config;
    const int64_t k = m->config.hidden;
    if (k % 32)
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: blocks of GGUF have 32 columns, which do not divide the %lld of the "
                         "embedding; --head-bits 16 keeps it as it is",
                         m->checkpoint->path, (long long)k);
    PTQI_TRY(ptq_config_create(m->context, PTQ_METHOD_RTN, &config));
    ptq_status status = configure(config, bits == 6 && k % 256 ? 8 : bits);
    if (!status)
        status = ptq_quantize(config, &weights, 1, NULL, NULL, q);
    ptq_config_free(config);
    return status;
}
