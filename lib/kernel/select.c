/*
 * Selects the kernels of a context: the list of implementations, best first, and the public
 * functions about instruction sets.
 */
#include <string.h>
#include "base/cpu.h"
#include "kernel.h"

static const struct {
    uint32_t needs; /* CPU features, PTQI_CPU_... */
    const struct ptqi_kernels *kernels;
} implementations[] = {
#ifdef PTQI_X86
    {PTQI_CPU_AMX_INT8 | PTQI_CPU_AVX512_VNNI, &ptqi_kernels_amx_int8},
    {PTQI_CPU_AVX512_VNNI, &ptqi_kernels_avx512_vnni},
    {PTQI_CPU_AVX_VNNI | PTQI_CPU_AVX2, &ptqi_kernels_avx_vnni},
    {PTQI_CPU_AVX2, &ptqi_kernels_avx2},
#elif defined(PTQI_ARM)
    {PTQI_CPU_I8MM | PTQI_CPU_DOTPROD | PTQI_CPU_NEON, &ptqi_kernels_neon_i8mm},
    {PTQI_CPU_DOTPROD | PTQI_CPU_NEON, &ptqi_kernels_neon_dotprod},
    {PTQI_CPU_NEON, &ptqi_kernels_neon},
#endif
    {0, &ptqi_kernels_portable},
};

static const struct {
    int32_t isa;
    const char *name;
} names[] = {
    {PTQ_AUTO, "auto"},
    {PTQ_ISA_PORTABLE, "portable"},
    {PTQ_ISA_AVX2, "avx2"},
    {PTQ_ISA_AVX_VNNI, "avx-vnni"},
    {PTQ_ISA_AVX512_VNNI, "avx512-vnni"},
    {PTQ_ISA_AMX_INT8, "amx-int8"},
    {PTQ_ISA_NEON, "neon"},
    {PTQ_ISA_NEON_DOTPROD, "neon-dotprod"},
    {PTQ_ISA_NEON_I8MM, "neon-i8mm"},
};

/* The best usable implementation, or the one for an instruction set; NULL if there is none. */
static const struct ptqi_kernels *find(int32_t isa)
{
    uint32_t has = ptqi_cpu_features();
    for (size_t i = 0; i < sizeof implementations / sizeof *implementations; i++) {
        const struct ptqi_kernels *k = implementations[i].kernels;
        if ((isa == PTQ_AUTO || isa == k->isa) &&
            (has & implementations[i].needs) == implementations[i].needs)
            return k;
    }
    return NULL;
}

/* AMX tiles need the system's permission. It is requested on first use, not when a context is
 * created. */
const struct ptqi_kernels *ptqi_product_kernels(const ptq_context *context)
{
#ifdef PTQI_X86
    if (context->kernels == &ptqi_kernels_amx_int8 && !ptqi_cpu_request_tiles())
        return find(PTQ_AUTO);
#endif
    return context->kernels;
}

int32_t ptq_isa(int32_t index)
{
    const int32_t count = sizeof names / sizeof *names - 1; /* the first is PTQ_AUTO */
    return index >= 0 && index < count ? names[index + 1].isa : 0;
}

int32_t ptq_isa_from_name(const char *name)
{
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name))
            return names[i].isa;
    return 0;
}

const char *ptq_isa_name(int32_t isa)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].isa == isa)
            return names[i].name;
    return NULL;
}

int32_t ptq_isa_usable(int32_t isa)
{
    return find(isa) != NULL;
}

ptq_status ptq_context_set_isa(ptq_context *context, int32_t isa)
{
    const char *name = ptq_isa_name(isa);
    PTQI_REQUIRE(NULL, context);
    if (!name)
        return ptqi_fail(context, PTQ_ERROR_UNKNOWN, "there is no instruction set %d", isa);
    if (isa == PTQ_ISA_AMX_INT8) /* report now whether AMX is available */
        ptqi_cpu_request_tiles();
    const struct ptqi_kernels *kernels = find(isa);
    if (!kernels)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "this CPU or this build has no kernels for %s", name);
    context->kernels = kernels;
    context->isa = kernels->isa;
    return PTQ_OK;
}

int32_t ptq_context_isa(const ptq_context *context)
{
    if (!context)
        return 0;
    const struct ptqi_kernels *kernels = find(context->isa);
    return (kernels ? kernels : find(PTQ_AUTO))->isa; /* AMX may have been refused since */
}
