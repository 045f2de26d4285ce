/*
 * ptq/format.h - how a quantized matrix is stored in a checkpoint.
 *
 * A format stores the parts of a matrix as tensors and metadata of a store, under names that begin
 * with a prefix, such as "model.layers.3.mlp.down_proj".
 */
#ifndef PTQ_FORMAT_H
#define PTQ_FORMAT_H

#include "qtensor.h"
#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* The library's native format: "<prefix>.codes", packed; ".scales", f16 if exact, else f32;
     * ".zeros", ".minima", ".levels", ".g_idx", ".order", ".input_scale", ".row_scales" if present;
     * settings as metadata. Lossless, except that errors of NaN (unknown) are not stored. */
    PTQ_FORMAT_PTQ = 1,
    /* What other tools make; lib/format/README.md has the details. The next three need the store's
     * quantization config. GPTQ, by AutoGPTQ and GPTQModel: 2, 3, 4 or 8 bits, act-order. AWQ, the
     * layout gemm: 4 bits. compressed-tensors, by llm-compressor: pack-quantized and int-quantized.
     */
    PTQ_FORMAT_GPTQ = 2,
    PTQ_FORMAT_AWQ = 3,
    PTQ_FORMAT_COMPRESSED_TENSORS = 4,
    /* A tensor of a GGUF file, "<prefix>.weight": Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K,
     * IQ4_NL, IQ4_XS. Weights are exactly those of ggml. Rows keep the order of the file. Written
     * in the smallest type that represents the matrix exactly; scales must be exact in f16, and
     * how activations are quantized is not stored. */
    PTQ_FORMAT_GGUF = 5
};

/* Converts between formats and names ("ptq"); 0 for an unknown name, NULL for an unknown format. */
PTQ_API int32_t ptq_format_from_name(const char *name);
PTQ_API const char *ptq_format_name(int32_t format);
/* Enumeration: the format at index; 0 past the end. */
PTQ_API int32_t ptq_format(int32_t index);
/* The suffixes that the names of a matrix's tensors may have (".codes"), by index; NULL past the
 * end. */
PTQ_API const char *ptq_format_ending(int32_t format, int32_t index);

/*
 * Copies the quantization config, JSON, of a checkpoint in this format whose matrices are like q:
 * what belongs into config.json as "quantization_config", and what ptq_store_set_quantization takes
 * before such matrices are written. buffer, capacity and the return value are as for
 * ptq_last_message; 0 if the format needs none, or q is NULL.
 */
PTQ_API int64_t ptq_format_config(int32_t format, const ptq_qtensor *q, char *buffer,
                                  int64_t capacity);

/* PTQ_OK if the format can represent q; else PTQ_ERROR_UNSUPPORTED, and the message says why not.
 */
PTQ_API ptq_status ptq_format_can_hold(int32_t format, const ptq_qtensor *q);
/* The format in which a store holds a quantized matrix with this prefix; 0 if it holds none. */
PTQ_API int32_t ptq_format_find(const ptq_store *store, const char *prefix);

/*
 * Enumeration: copies the prefix of the quantized matrix at index, in any format, in the order of
 * the store's tensors. buffer, capacity and the return value are as for ptq_last_message; past the
 * end, the return value is 0 and the text empty. ptq_format_find returns the format. Prefixes of
 * more than 480 bytes are left out. The time grows with index.
 */
PTQ_API int64_t ptq_format_matrix(const ptq_store *store, int64_t index, char *buffer,
                                  int64_t capacity);

/* Adds the parts of q to a store being written. q may be freed before the store is committed. */
PTQ_API ptq_status ptq_qtensor_write(const ptq_qtensor *q, int32_t format, ptq_store *store,
                                     const char *prefix);
/* Reads them back. PTQ_ERROR_UNKNOWN if the store has no matrix with this prefix in this format. */
PTQ_API ptq_status ptq_qtensor_read(ptq_context *context, int32_t format, const ptq_store *store,
                                    const char *prefix, ptq_qtensor **q);

#ifdef __cplusplus
}
#endif
#endif
