/* Store internals. */
#ifndef PTQI_STORE_H
#define PTQI_STORE_H

#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "base/table.h"
#include "ptq/store.h"

/* One tensor: its place in a mapped file or, in a store being written, the data to write. */
struct ptqi_entry {
    char *name;
    char dtype_name[12]; /* "BF16" */
    int32_t dtype;       /* 0 if ptq_tensor does not support it */
    int32_t rank;
    int64_t shape[PTQ_MAX_RANK];
    const void *data;
    int64_t bytes;
    int64_t *rows; /* [shape[0]]: row n of the tensor is row rows[n] of data; NULL: in order */
    void *owned;   /* data that the store frees */
    /* The tensor or store that owns the data, and the function that drops the reference; or
     * NULL. */
    void *held;
    void (*drop)(void *held);
};

struct ptqi_pair {
    char *key, *value;
    const char *type; /* "str"; GGUF has others. A constant text. */
};

/* A kind of file, or of files in a directory. Each has an entry in the table in store.c. */
struct ptqi_container {
    const char *name;
    const char *ending; /* of the names of files to write */
    int (*recognise)(ptq_context *context, const char *path);
    ptq_status (*open)(ptq_store *store, const char *path);
    /* Whether bytes of a file begin like one; adds the contents of a whole file in memory. path
     * names it in messages. */
    int (*begins)(const uint8_t *bytes, int64_t size);
    ptq_status (*read_bytes)(ptq_store *store, const char *path, const uint8_t *bytes,
                             int64_t size);
    ptq_status (*write)(ptq_store *store); /* writes all entries to the store's path */
    /* Sets a metadata value; fails if the container has no such type. */
    ptq_status (*set_typed)(ptq_store *store, const char *key, const char *type, const char *value);
};

extern const struct ptqi_container ptqi_safetensors, ptqi_gguf;

struct ptq_store {
    ptq_context *context;
    atomic_llong references; /* the user's, and one for each tensor or store that uses its data */
    char *path;
    const struct ptqi_container *container;

    struct ptqi_entry *entries;
    int64_t count, capacity;
    struct ptqi_table by_name;

    struct ptqi_pair *metadata;
    int64_t metadata_count, metadata_capacity;
    struct ptqi_table by_key;

    struct ptqi_json_document *settings_document;
    const struct ptqi_json *settings; /* quantization_config, or NULL */

    struct ptqi_map *maps; /* files open for reading */
    int64_t map_count, map_capacity;

    int writing;
};

/* References, from any thread; the last one to be released closes the store. */
void ptqi_store_hold(const ptq_store *store);
void ptqi_store_release(ptq_store *store);
/* Makes the entry hold a store that it takes its data from. */
void ptqi_entry_hold(struct ptqi_entry *entry, const ptq_store *from);

/* entries.c. The number of elements of a shape. Returns 0 if the sizes that are not zero multiply
 * to more than 2^53: no product of sizes of a tensor overflows then, even of one without elements,
 * and safetensors can write each as a JSON number. */
int ptqi_shape_elements(const int64_t *shape, int32_t rank, int64_t *elements);
/* Finds a tensor by name, and a metadata pair or value by key; NULL if there is none. */
const struct ptqi_entry *ptqi_store_find(const ptq_store *store, const char *name);
const struct ptqi_pair *ptqi_store_pair(const ptq_store *store, const char *key);
const char *ptqi_store_value(const ptq_store *store, const char *key);
/* What files call a dtype: "BF16". */
const char *ptqi_store_dtype_name(int32_t dtype);
/* Appends an entry without data; its size follows from dtype and shape. */
ptq_status ptqi_store_describe(ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                               const int64_t *shape, struct ptqi_entry **entry);
/* Appends an empty entry with a copy of name; rejects a duplicate name. */
ptq_status ptqi_store_new_entry(ptq_store *store, const char *name, struct ptqi_entry **entry);
/* Sets a metadata key. If replace is 0, an existing key is kept (later shards do not override). */
ptq_status ptqi_store_set_pair(ptq_store *store, const char *key, const char *value, int replace);
/* The same for a value of a type other than "str". */
ptq_status ptqi_store_set_typed(ptq_store *store, const char *key, const char *type,
                                const char *value, int replace);
/* Maps a file for as long as the store is open; *map is valid until the next call. */
ptq_status ptqi_store_map(ptq_store *store, const char *path, const struct ptqi_map **map);

/* safetensors_file.c. _read maps a file and adds its tensors. _read_bytes adds the tensors of a
 * file in memory; path names it in messages. _write writes all entries to a file. */
ptq_status ptqi_safetensors_read(ptq_store *store, const char *path);
ptq_status ptqi_safetensors_read_bytes(ptq_store *store, const char *path, const uint8_t *bytes,
                                       int64_t size);
ptq_status ptqi_safetensors_write(ptq_store *store);

/* store.c: an empty store, for a function of this name. */
ptq_status ptqi_store_new(const char *function, ptq_context *context, const char *path,
                          ptq_store **store);

/* view.c: an empty view of a store; and an entry for one of its tensors, or for one part of it
 * along the first axis (-1: the whole). The caller may set the entry's shape, and give it the
 * memory of rows. */
ptq_status ptqi_view_create(const ptq_store *from, ptq_store **view);
ptq_status ptqi_view_add(ptq_store *view, const char *name, const ptq_store *from,
                         const struct ptqi_entry *source, int64_t part, struct ptqi_entry **entry);
/* Copies the data of an entry, rows in order. */
void ptqi_entry_copy(const struct ptqi_entry *entry, void *out);

/* PTQ_ERROR_ARGUMENT, with the name of the calling function, unless store is being written, or is
 * open for reading. */
ptq_status ptqi_store_check_writing(const char *function, const ptq_store *store);
ptq_status ptqi_store_check_reading(const char *function, const ptq_store *store);

/* Adds a copy of data, which need not outlive the call. */
ptq_status ptqi_store_put(ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *shape, const void *data);
/* lib/store_tensor.c: adds a tensor of an element type that ptq_tensor does not support, with
 * memory for its bytes. */
ptq_status ptqi_store_put_raw(ptq_store *store, const char *name, const char *dtype_name,
                              int32_t rank, const int64_t *shape, int64_t bytes, void **data);
/* Finds the data of a tensor that must have this dtype and shape; they may be unaligned. */
ptq_status ptqi_store_view(const ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                           const int64_t *shape, const void **data);
/* The same, copied to out. */
ptq_status ptqi_store_get(const ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *shape, void *out);

#endif
