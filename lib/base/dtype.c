/*
 * Element types: their sizes and names.
 */
#include <stddef.h>
#include "ptq/tensor.h"

static const struct {
    int64_t size;
    const char *name;
} dtypes[] = {
    [PTQ_DTYPE_F32] = {4, "f32"}, [PTQ_DTYPE_F16] = {2, "f16"}, [PTQ_DTYPE_BF16] = {2, "bf16"},
    [PTQ_DTYPE_I8] = {1, "i8"},   [PTQ_DTYPE_U8] = {1, "u8"},   [PTQ_DTYPE_I32] = {4, "i32"},
};

static int is_dtype(int32_t dtype)
{
    return dtype >= PTQ_DTYPE_F32 && dtype <= PTQ_DTYPE_I32;
}

int64_t ptq_dtype_size(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

const char *ptq_dtype_name(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : NULL;
}
