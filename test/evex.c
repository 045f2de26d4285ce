/*
 * The AVX-VNNI kernels once more, with vpdpbusd in its AVX-512 form: so that they are tested on the
 * machines that have only that.
 */
#define PTQI_EVEX
#include "kernel/avx_vnni.c"
