/*
 * The AVX-VNNI kernels again, with vpdpbusd in its AVX-512 form, so that they are tested on
 * machines that have only that.
 */
#define PTQI_EVEX
#include "kernel/avx_vnni.c"
