/*
 * The types of GGUF: of metadata values, and of tensors.
 */
#include <string.h>
#include "gguf.h"

static const struct ptqi_gguf_value_type value_types[PTQI_GGUF_TYPES] = {
    [PTQI_GGUF_U8] = {"u8", "arr[u8]", 1},       [PTQI_GGUF_I8] = {"i8", "arr[i8]", 1},
    [PTQI_GGUF_U16] = {"u16", "arr[u16]", 2},    [PTQI_GGUF_I16] = {"i16", "arr[i16]", 2},
    [PTQI_GGUF_U32] = {"u32", "arr[u32]", 4},    [PTQI_GGUF_I32] = {"i32", "arr[i32]", 4},
    [PTQI_GGUF_F32] = {"f32", "arr[f32]", 4},    [PTQI_GGUF_BOOL] = {"bool", "arr[bool]", 1},
    [PTQI_GGUF_STRING] = {"str", "arr[str]", 0}, [PTQI_GGUF_ARRAY] = {"arr", NULL, 0},
    [PTQI_GGUF_U64] = {"u64", "arr[u64]", 8},    [PTQI_GGUF_I64] = {"i64", "arr[i64]", 8},
    [PTQI_GGUF_F64] = {"f64", "arr[f64]", 8},
};

static const struct ptqi_gguf_tensor_type tensor_types[] = {
    {"F32", 0, 1, 4, PTQ_DTYPE_F32},
    {"F16", 1, 1, 2, PTQ_DTYPE_F16},
    {"BF16", 30, 1, 2, PTQ_DTYPE_BF16},
    {"I8", 24, 1, 1, PTQ_DTYPE_I8},
    {"I32", 26, 1, 4, PTQ_DTYPE_I32},
    {"I16", 25, 1, 2, 0},
    {"I64", 27, 1, 8, 0},
    {"F64", 28, 1, 8, 0},
    {"Q4_0", 2, 32, 18, 0},
    {"Q4_1", 3, 32, 20, 0},
    {"Q5_0", 6, 32, 22, 0},
    {"Q5_1", 7, 32, 24, 0},
    {"Q8_0", 8, 32, 34, 0},
    {"Q8_1", 9, 32, 36, 0},
    {"Q2_K", 10, 256, 84, 0},
    {"Q3_K", 11, 256, 110, 0},
    {"Q4_K", 12, 256, 144, 0},
    {"Q5_K", 13, 256, 176, 0},
    {"Q6_K", 14, 256, 210, 0},
    {"Q8_K", 15, 256, 292, 0},
    {"IQ2_XXS", 16, 256, 66, 0},
    {"IQ2_XS", 17, 256, 74, 0},
    {"IQ3_XXS", 18, 256, 98, 0},
    {"IQ1_S", 19, 256, 50, 0},
    {"IQ4_NL", 20, 32, 18, 0},
    {"IQ3_S", 21, 256, 110, 0},
    {"IQ2_S", 22, 256, 82, 0},
    {"IQ4_XS", 23, 256, 136, 0},
    {"IQ1_M", 29, 256, 56, 0},
    {"TQ1_0", 34, 256, 54, 0},
    {"TQ2_0", 35, 256, 66, 0},
    {"MXFP4", 39, 32, 17, 0},
    {"NVFP4", 40, 64, 36, 0},
    {"Q1_0", 41, 128, 18, 0},
    {"Q2_0", 42, 64, 18, 0},
};
enum { TENSOR_TYPES = sizeof tensor_types / sizeof *tensor_types };

const struct ptqi_gguf_value_type *ptqi_gguf_value_type(uint32_t id)
{
    return id < PTQI_GGUF_TYPES ? &value_types[id] : NULL;
}

int ptqi_gguf_value_named(const char *name, uint32_t *id, int *is_array)
{
    for (*id = 0; *id < PTQI_GGUF_TYPES; ++*id) {
        const struct ptqi_gguf_value_type *type = &value_types[*id];
        *is_array = type->array_name && !strcmp(type->array_name, name);
        if (type->array_name && (*is_array || !strcmp(type->name, name)))
            return 1;
    }
    return 0;
}

const struct ptqi_gguf_tensor_type *ptqi_gguf_tensor_type(uint32_t id)
{
    for (int i = 0; i < TENSOR_TYPES; i++)
        if (tensor_types[i].id == id)
            return &tensor_types[i];
    return NULL;
}

const struct ptqi_gguf_tensor_type *ptqi_gguf_tensor_named(const char *name)
{
    for (int i = 0; i < TENSOR_TYPES; i++)
        if (!strcmp(tensor_types[i].name, name))
            return &tensor_types[i];
    return NULL;
}
