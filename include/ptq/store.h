/*
 * ptq/store.h - a checkpoint open for reading or for writing: safetensors, single or sharded.
 *
 * Thread safety: an open store may be read by many threads at once; one thread writes.
 */
#ifndef PTQ_STORE_H
#define PTQ_STORE_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_store ptq_store;

/*
 * Opens a .safetensors file, a model.safetensors.index.json, or a directory that has one of the two
 * (the index is preferred). The files are mapped, not read, and must not be changed while open.
 * Everything in the headers is checked before use: sizes, bounds, overlaps, holes, duplicates.
 */
PTQ_API ptq_status ptq_store_open(ptq_context *context, const char *path, ptq_store **store);
/* Closes a store that was open for reading, or drops one that was being written and not committed:
 * then no file is left behind. NULL is fine. */
PTQ_API void ptq_store_free(ptq_store *store);

/* Number of tensors, and their names in the order of the files; NULL beyond the last. */
PTQ_API int64_t ptq_store_count(const ptq_store *store);
PTQ_API const char *ptq_store_name(const ptq_store *store, int64_t index);
/* The element type of tensor number index as the file names it ("BF16", also types that ptq_tensor
 * has not), and its size in bytes. */
PTQ_API const char *ptq_store_dtype(const ptq_store *store, int64_t index);
PTQ_API int64_t ptq_store_bytes(const ptq_store *store, int64_t index);
/* Its bytes as they are in the file, read-only and perhaps not aligned, until the store is freed.
 */
PTQ_API const void *ptq_store_data(const ptq_store *store, int64_t index);
PTQ_API int32_t ptq_store_has(const ptq_store *store, const char *name);
/* A tensor by name, with that name: it refers to the mapped file (read-only; free it before the
 * store), or owns a copy where the file's data are not aligned. */
PTQ_API ptq_status ptq_store_tensor(const ptq_store *store, const char *name, ptq_tensor **tensor);
/* Keys of metadata, in their order; NULL beyond the last. */
PTQ_API const char *ptq_store_metadata_key(const ptq_store *store, int64_t index);
/* The value of a metadata key, NULL where there is none. */
PTQ_API const char *ptq_store_metadata(const ptq_store *store, const char *key);

/*
 * Starts a .safetensors file. Tensors are added by reference and must stay as they are until
 * ptq_store_commit writes them, in the order in which they were added; nothing appears at path
 * before the whole file has reached the disk (written beside it, synced, renamed).
 */
PTQ_API ptq_status ptq_store_create(ptq_context *context, const char *path, ptq_store **store);
PTQ_API ptq_status ptq_store_add(ptq_store *store, const char *name, const ptq_tensor *tensor);
/* Adds a tensor of another store as it is, also one whose element type ptq_tensor does not have;
 * from must stay open until the commit. */
PTQ_API ptq_status ptq_store_copy(ptq_store *store, const ptq_store *from, const char *name);
PTQ_API ptq_status ptq_store_set_metadata(ptq_store *store, const char *key, const char *value);
PTQ_API ptq_status ptq_store_commit(ptq_store *store);

#ifdef __cplusplus
}
#endif
#endif
