/*
 * The AMX kernels again, with the tile instructions emulated in C, so that they are tested on
 * machines without AMX. The rest of their table needs AVX512-VNNI.
 */
#include "base/compiler.h"
#ifdef PTQI_X86
#define PTQI_AMX_EMULATED
#include "amx_emulated.h"
#include "kernel/amx.c"

struct ptqi_kernels emulated_amx(void);
int emulated_tiles_in_use(void);

struct ptqi_kernels emulated_amx(void)
{
    struct ptqi_kernels k = ptqi_kernels_amx_int8;
    k.w4a8.tile = k.w8a8.tile = ptqi_emulated_tile;
    k.two_level.tile = ptqi_emulated_level_tile;
    k.release = k.release == ptqi_amx_release ? ptqi_emulated_release : NULL;
    return k;
}

int emulated_tiles_in_use(void)
{
    return tiles.configured;
}
#else
typedef int nothing_here;
#endif
