/*
 * ptq/store.h - a checkpoint open for reading or writing: safetensors, single or sharded; or GGUF.
 *
 * Thread safety: many threads may read an open store at once; only one may write, or set anything.
 */
#ifndef PTQ_STORE_H
#define PTQ_STORE_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_store ptq_store;

/*
 * Opens a .safetensors file, a model.safetensors.index.json, or a directory that contains one of
 * the two (the index is preferred); or a GGUF file, version 2 or 3, little-endian. The files are
 * mapped, not read, and must not change while open. Headers are fully validated before use: sizes,
 * bounds, overlaps, holes, duplicates.
 *
 * GGUF lists the axes of a tensor from the innermost; here, as everywhere in this library, the
 * innermost comes last.
 */
PTQ_API ptq_status ptq_store_open(ptq_context *context, const char *path, ptq_store **store);
/*
 * The same for the bytes of one .safetensors or GGUF file in the caller's memory, which must not
 * change and must outlive the store, the tensors read from it, and the stores that copy from it.
 */
PTQ_API ptq_status ptq_store_open_memory(ptq_context *context, const void *data, int64_t bytes,
                                         ptq_store **store);
/* Closes a store that was open for reading, or discards one that was being written and was not
 * committed, leaving no file behind. Its files stay mapped as long as tensors read from it, or
 * stores that copy from it, exist. NULL is allowed. */
PTQ_API void ptq_store_free(ptq_store *store);

/* Number of tensors, and their names in file order; NULL past the end. The index of a name; -1 if
 * there is none. */
PTQ_API int64_t ptq_store_count(const ptq_store *store);
PTQ_API const char *ptq_store_name(const ptq_store *store, int64_t index);
PTQ_API int64_t ptq_store_find(const ptq_store *store, const char *name);
/* The element type of the tensor at index: its name in the file ("BF16"; "Q4_K" in GGUF), and its
 * PTQ_DTYPE_..., 0 if ptq_tensor does not support it; and the size of its data in bytes. */
PTQ_API const char *ptq_store_dtype(const ptq_store *store, int64_t index);
PTQ_API int32_t ptq_store_dtype_value(const ptq_store *store, int64_t index);
PTQ_API int64_t ptq_store_bytes(const ptq_store *store, int64_t index);
/* Its shape: the number of axes, and the size along an axis; 1 for an axis past the rank. */
PTQ_API int32_t ptq_store_rank(const ptq_store *store, int64_t index);
PTQ_API int64_t ptq_store_size(const ptq_store *store, int64_t index, int32_t axis);
/* Its bytes as stored in the file: read-only, possibly unaligned, valid until the store is freed.
 */
PTQ_API const void *ptq_store_data(const ptq_store *store, int64_t index);
PTQ_API int32_t ptq_store_has(const ptq_store *store, const char *name);
/* Returns a tensor by name and gives it that name. It refers to the mapped file, which is
 * read-only, and keeps the store open until it is freed; or it owns a copy if the data in the file
 * are not aligned. PTQ_ERROR_ARGUMENT if store is being written. */
PTQ_API ptq_status ptq_store_tensor(const ptq_store *store, const char *name, ptq_tensor **tensor);
/* Metadata keys in order; NULL past the end. */
PTQ_API const char *ptq_store_metadata_key(const ptq_store *store, int64_t index);
/* The value of a metadata key, NULL if there is none. A string of GGUF is as in the file; a number,
 * a bool or an array is JSON text. */
PTQ_API const char *ptq_store_metadata(const ptq_store *store, const char *key);
/* The type of that value: "str", or in GGUF "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool",
 * "u64", "i64", "f64", or an array of one of these, "arr[str]". NULL if there is none. */
PTQ_API const char *ptq_store_metadata_type(const ptq_store *store, const char *key);

/*
 * Sets how quantized matrices in the store are encoded, as JSON: the value of "quantization_config"
 * in a checkpoint's config.json, or the contents of its quantize_config.json. The formats gptq, awq
 * and compressed-tensors need it, to read and to write; ptq/format.h. PTQ_ERROR_FORMAT if it is not
 * a JSON object.
 */
PTQ_API ptq_status ptq_store_set_quantization(ptq_store *store, const char *json);

/*
 * Starts writing a file: GGUF if path ends in ".gguf", else safetensors. Tensors are added by
 * reference and must not change until ptq_store_commit writes them, in the order in which they were
 * added. The store keeps the tensors that were added, and the stores that it copies from, until it
 * is freed; the caller may free its own handles at once. Memory that an added tensor borrows must
 * stay until then. Nothing appears at path until the whole file is on disk: it is written next to
 * path, synced, and renamed.
 */
PTQ_API ptq_status ptq_store_create(ptq_context *context, const char *path, ptq_store **store);
PTQ_API ptq_status ptq_store_add(ptq_store *store, const char *name, const ptq_tensor *tensor);
/* Adds a tensor of another store unchanged, even one whose element type ptq_tensor does not
 * support; from must be open for reading. */
PTQ_API ptq_status ptq_store_copy(ptq_store *store, const ptq_store *from, const char *name);
PTQ_API ptq_status ptq_store_set_metadata(ptq_store *store, const char *key, const char *value);
/* The same for a value that is not a string, as ptq_store_metadata and _type give it. Only GGUF has
 * such values. PTQ_ERROR_UNKNOWN for an unknown type; a value that is not of its type fails when
 * the store is committed. */
PTQ_API ptq_status ptq_store_set_typed_metadata(ptq_store *store, const char *key, const char *type,
                                                const char *value);
PTQ_API ptq_status ptq_store_commit(ptq_store *store);

#ifdef __cplusplus
}
#endif
#endif
