/*
 * ptq/config.h - the configuration of a quantizer: a method and its parameters.
 *
 * Parameters are set by number and type, or by name and text. Both can be enumerated, and bounds
 * can be queried, so a command line or a language binding needs no table of its own.
 * Thread safety: many threads may read a config and quantize with it at once, as long as none sets
 * it.
 */
#ifndef PTQ_CONFIG_H
#define PTQ_CONFIG_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_config ptq_config;

/* A method is a preset of the parameters below. */
enum {
    PTQ_METHOD_RTN = 1,         /* round each group to its grid; needs no data */
    PTQ_METHOD_GPTQ = 2,        /* Frantar et al. 2022, arXiv 2210.17323 */
    PTQ_METHOD_AWQ = 3,         /* Lin et al. 2023, arXiv 2306.00978 */
    PTQ_METHOD_SMOOTHQUANT = 4, /* Xiao et al. 2022, arXiv 2211.10438 */
    PTQ_METHOD_FPTQ = 5,        /* Li et al. 2023, arXiv 2308.15987 */
    PTQ_METHOD_AUTO = 6         /* gptq+ with the equalization, rotation etc. that lose least */
};

/* Parameters. Integers unless noted; choices are integers with named values. */
enum {
    PTQ_PARAM_BITS = 1,      /* 2 .. 6 or 8 */
    PTQ_PARAM_GROUP = 2,     /* columns that share a scale: a multiple of 32; 0: the whole row */
    PTQ_PARAM_SYMMETRIC = 3, /* 1: zero = 2^(bits-1); 0: a zero point per group; or PTQ_AUTO */
    PTQ_PARAM_GRID = 4, /* PTQ_GRID_...: how scale and zero are computed from a group's weights */
    PTQ_PARAM_MSE = 5,  /* 1: search for each group's best range, error |w' - w|^2.4 */
    PTQ_PARAM_ROUNDING = 6,      /* PTQ_ROUNDING_... */
    PTQ_PARAM_ACT_ORDER = 7,     /* GPTQ: 1: columns by decreasing diag(H) */
    PTQ_PARAM_STATIC_GROUPS = 8, /* GPTQ: 1: grids from the original groups and weights */
    PTQ_PARAM_DAMPING = 9,       /* GPTQ, float: added to diag(H), as a fraction of its mean */
    PTQ_PARAM_BLOCK = 10,        /* GPTQ: columns to process before updating all later ones */
    PTQ_PARAM_SCALE_DTYPE = 11,  /* PTQ_DTYPE_F32, PTQ_DTYPE_F16 or PTQ_DTYPE_BF16: scales are
                                    rounded to it before codes are chosen */
    PTQ_PARAM_ACTIVATIONS = 12,  /* PTQ_ACTIVATIONS_...: how ptq_linear treats the input */
    PTQ_PARAM_EQUALIZE = 13, /* PTQ_EQUALIZE_...: scale that multiplies W and divides the input */
    PTQ_PARAM_DUO = 14,      /* AWQ: 1: use AutoAWQ's duo scaling candidates, not llm-awq's */
    PTQ_PARAM_CLIP = 15,     /* 1: AWQ's search for the best clipping of each group; or PTQ_AUTO */
    PTQ_PARAM_CLIP_EXCEPT = 16, /* bit i: do not clip matrix i of those that share an input */
    PTQ_PARAM_ALPHA = 17,  /* SmoothQuant, float: how much of the range is moved into the weights */
    PTQ_PARAM_V0 = 18,     /* FPTQ, float: inputs up to this use a static scale, no equalization */
    PTQ_PARAM_V1 = 19,     /* FPTQ, float: inputs from this on are quantized per token */
    PTQ_PARAM_GPTAQ = 20,  /* GPTQ, float: fraction of the input mismatch to correct; 0: none */
    PTQ_PARAM_ROTATE = 21, /* block size of the Hadamard rotation, 0, 32, 64 or 128; or PTQ_AUTO */
    PTQ_PARAM_EFFORT = 22, /* PTQ_EFFORT_...: how much to try for settings that are PTQ_AUTO */
    PTQ_PARAM_SCALES = 23  /* PTQ_SCALES_...: the form of the scales */
};

enum {
    PTQ_GRID_DEFAULT = 0, /* GPTQ's, but a symmetric range is always (-max |w|, max |w|) */
    PTQ_GRID_GPTQ = 1,    /* exactly as in IST-DASLab/gptq quant.py */
    PTQ_GRID_AWQ = 2,     /* as in mit-han-lab/llm-awq quantizer.py */
    PTQ_GRID_ABSMAX = 3,  /* symmetric, scale = max |w| / (2^(bits-1) - 1): FPTQ's */
    PTQ_GRID_RANGE = 4 /* AWQ's; but if all weights of a group have one sign, its range is extended
                          to include 0, and ranges below 1e-5 are kept (AWQ widens them to 1e-5) */
};
enum {
    PTQ_ROUNDING_RTN = 1,
    PTQ_ROUNDING_GPTQ = 2,
    PTQ_ROUNDING_GPTQ_PLUS = 3 /* GPTQ with scale search, coordinate descent and scale refitting */
};
enum {
    PTQ_ACTIVATIONS_F32 = 0,         /* weight-only */
    PTQ_ACTIVATIONS_INT8_TOKEN = 1,  /* int8, symmetric, one scale per row of x */
    PTQ_ACTIVATIONS_INT8_TENSOR = 2, /* int8, one scale per call, from the maximum over all rows */
    PTQ_ACTIVATIONS_INT8_STATIC = 3, /* int8, one fixed scale, from calibration */
    PTQ_ACTIVATIONS_FPTQ = 4,        /* only in a config: INT8_STATIC below v1, else INT8_TOKEN */
    PTQ_ACTIVATIONS_INT16_TOKEN = 8, /* weight-only accuracy at integer speed: 16 bits, symmetric,
                                        one scale per row of x, as two int8 rows; ptq/call.h */
    PTQ_ACTIVATIONS_INT8_GROUP = 9,  /* int8, symmetric, one scale per row of x and group of at most
                                        128 columns; ptq/call.h */

    /* Only in matrices from elsewhere, not in a config; ptq/qtensor.h defines them. */
    PTQ_ACTIVATIONS_UINT8_TOKEN = 5,   /* 8 bits, a scale and a zero point per row of x */
    PTQ_ACTIVATIONS_UINT8_STATIC = 6,  /* 8 bits, one fixed scale and zero point */
    PTQ_ACTIVATIONS_UINT8_CENTERED = 7 /* 8 bits, a scale per row of x, the zero point 128 */
};
enum {
    PTQ_EQUALIZE_NONE = 0,
    PTQ_EQUALIZE_AWQ = 1,         /* search over 20 powers of mean |x| */
    PTQ_EQUALIZE_SMOOTHQUANT = 2, /* max |x|^alpha / max |w|^(1 - alpha) */
    PTQ_EQUALIZE_LAE = 3,         /* max |x| / log2(2 + max |x|) */
    PTQ_EQUALIZE_FPTQ = 4         /* LAE if v0 < max |x| < v1, else none */
};
enum {
    PTQ_SCALES_PLAIN = 0,     /* a positive scale for each group */
    PTQ_SCALES_TWO_LEVEL = 1, /* a scale per row times an integer 1 .. 15 per group: no floating
                                 point inside the product; not for 8 bits */
    PTQ_SCALES_SIGNED = 2,    /* as plain, but of either sign without zero points: a range of codes
                                 such as -8 .. 7 reaches further on the side of the largest weight,
                                 as in GGUF's Q4_0 */
    PTQ_SCALES_MINIMA = 3,    /* as plain, with a minimum for each group in place of a zero point:
                                 w = scale code + minimum, as in GGUF's Q4_1 and Q5_1 */
    PTQ_SCALES_SUPER = 4      /* small integers times what 256 columns share, as in GGUF's K types:
                                 scales and minima of groups of 32 (4 and 5 bits), scales of either
                                 sign of groups of 16 (6 bits). The group setting has no effect */
};
/* PTQ_PARAM_EQUALIZE, _ROTATE, _SYMMETRIC and _CLIP may be PTQ_AUTO: ptq_quantize tries the
 * alternatives and keeps the one that loses least for the matrices of a call. PTQ_PARAM_SCALES may
 * also be PTQ_AUTO: two-level if activations have 8 bits, not by group, and it is possible; else
 * plain. */
enum {
    PTQ_EFFORT_FAST = 1,    /* candidates are compared after round-to-nearest */
    PTQ_EFFORT_DEFAULT = 2, /* each candidate is quantized with the configured rounding */
    PTQ_EFFORT_BEST = 3     /* the same, with more candidates */
};

/* Parameter types. The values of a choice have names; a flag is a choice of "off" 0 and "on" 1. */
enum { PTQ_TYPE_INT = 1, PTQ_TYPE_FLOAT = 2, PTQ_TYPE_CHOICE = 3, PTQ_TYPE_FLAG = 4 };

/* Creates a config with the preset of a method. */
PTQ_API ptq_status ptq_config_create(ptq_context *context, int32_t method, ptq_config **config);
PTQ_API void ptq_config_free(ptq_config *config);
PTQ_API int32_t ptq_config_method(const ptq_config *config);

/* Creates a copy of a config. */
PTQ_API ptq_status ptq_config_copy(const ptq_config *config, ptq_config **copy);

/* The user pointer that functions with this config pass to the context's parallel_for, instead of
 * the one set with it: for engines with a separate pool or task for every call. Threads that
 * quantize at the same time with different pointers each need a copy of the config. */
PTQ_API ptq_status ptq_config_set_parallel_user(ptq_config *config, void *user);

/* Enumeration: the method at index; 0 past the end. */
PTQ_API int32_t ptq_method(int32_t index);
/* Converts between methods and names ("gptq"); 0 for an unknown name, NULL for an unknown value. */
PTQ_API int32_t ptq_method_from_name(const char *name);
PTQ_API const char *ptq_method_name(int32_t method);
/* What a method does, and what its preset quantizes to, in words; NULL for an unknown value. */
PTQ_API const char *ptq_method_sentence(int32_t method);

/* On PTQ_ERROR_UNKNOWN and PTQ_ERROR_BOUNDS the parameter keeps its value. Activations with a zero
 * point are out of bounds, because no method quantizes for them. */
PTQ_API ptq_status ptq_config_set_int(ptq_config *config, int32_t parameter, int64_t value);
PTQ_API ptq_status ptq_config_set_float(ptq_config *config, int32_t parameter, double value);
PTQ_API ptq_status ptq_config_get_int(const ptq_config *config, int32_t parameter, int64_t *value);
PTQ_API ptq_status ptq_config_get_float(const ptq_config *config, int32_t parameter, double *value);

/* Sets a parameter from text, by name: ("group", "64"), ("grid", "awq"), ("damp", "0.05"). */
PTQ_API ptq_status ptq_config_parse(ptq_config *config, const char *name, const char *text);
/* Writes the value of a parameter in the form that ptq_config_parse reads; an empty string if there
 * is no such parameter. buffer, capacity and the return value are as for ptq_last_message. */
PTQ_API int64_t ptq_config_print(const ptq_config *config, int32_t parameter, char *buffer,
                                 int64_t capacity);

/* The smallest and largest value of a parameter. Not every integer in between is necessarily
 * allowed (bits: 2 .. 6, 8). */
PTQ_API ptq_status ptq_config_bounds(int32_t parameter, double *lowest, double *highest);
/* Enumeration: the parameter at index, 0 past the end; and its name. */
PTQ_API int32_t ptq_config_parameter(int32_t index);
PTQ_API const char *ptq_config_parameter_name(int32_t parameter);
/* PTQ_TYPE_..., 0 for an unknown parameter. */
PTQ_API int32_t ptq_config_parameter_type(int32_t parameter);
/* A one-line description. */
PTQ_API const char *ptq_config_parameter_sentence(int32_t parameter);
/* The values allowed for a parameter of PTQ_TYPE_CHOICE or _FLAG: their number, and the one at
 * index. 0 for other parameters and past the end. */
PTQ_API int32_t ptq_config_choice_count(int32_t parameter);
PTQ_API int64_t ptq_config_choice_value(int32_t parameter, int32_t index);
/* The name of a choice, such as "int8-token" for (PTQ_PARAM_ACTIVATIONS, 1); NULL if there is none.
 */
PTQ_API const char *ptq_config_choice_name(int32_t parameter, int64_t value);

/* Checks for settings that contradict each other: PTQ_ERROR_CONFLICT, with a message that names
 * them. ptq_quantize does this itself. */
PTQ_API ptq_status ptq_config_check(const ptq_config *config);

#ifdef __cplusplus
}
#endif
#endif
