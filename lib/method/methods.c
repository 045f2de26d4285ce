/*
 * The tables of roundings and equalizers, and finding an entry; and the version of all of them.
 */
#include "method.h"
#include "ptq/quantize.h"

int32_t ptq_algorithm_version(void)
{
    return PTQ_ALGORITHM_VERSION;
}

/* No equalization: the identity. */
const struct ptqi_equalizer ptqi_equalizer_none = {.id = PTQ_EQUALIZE_NONE, .name = "none"};

#define ENTRY(name) &ptqi_rounding_##name,
static const struct ptqi_rounding *const roundings[] = {PTQI_ROUNDINGS(ENTRY)};
#undef ENTRY

#define ENTRY(name) &ptqi_equalizer_##name,
static const struct ptqi_equalizer *const equalizers[] = {PTQI_EQUALIZERS(ENTRY)};
#undef ENTRY

ptq_status ptqi_find_rounding(ptq_context *context, int32_t id, const struct ptqi_rounding **entry)
{
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++)
        if (roundings[i]->id == id) {
            *entry = roundings[i];
            return PTQ_OK;
        }
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "there is no rounding %d", id);
}

ptq_status ptqi_find_equalizer(ptq_context *context, int32_t id,
                               const struct ptqi_equalizer **entry)
{
    for (size_t i = 0; i < sizeof equalizers / sizeof *equalizers; i++)
        if (equalizers[i]->id == id) {
            *entry = equalizers[i];
            return PTQ_OK;
        }
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "there is no equalization %d", id);
}
