#include "checkpoint/identity.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/team.h"

struct job {
    const struct model *m;
    uint64_t *hashes; /* [tensors] */
    int64_t parts;
};

/* Name, type, size and bytes of every parts-th tensor. */
static void hash_tensors(void *argument, int64_t part)
{
    struct job *j = argument;
    const ptq_store *store = j->m->store;
    for (int64_t i = part; i < ptq_store_count(store); i += j->parts) {
        const char *dtype = ptq_store_dtype(store, i);
        uint64_t h = ptqi_hash(PTQI_HASH_START, dtype, (int64_t)strlen(dtype));
        j->hashes[i] = ptqi_hash_fast(h, ptq_store_data(store, i), ptq_store_bytes(store, i));
    }
}

static ptq_status add_tensors(const struct model *m, struct ptqi_json_writer *w)
{
    const int64_t count = ptq_store_count(m->store);
    struct job job = {m, ptqi_alloc(m->context, count, (int64_t)sizeof(uint64_t)),
                      ptqi_threads(m->context)};
    char text[24];
    if (!job.hashes)
        return PTQ_ERROR_MEMORY;
    ptqi_parallel(m->context, job.parts, hash_tensors, &job);
    ptqi_json_open(w, "tensors", '{');
    for (int64_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%016llx", (unsigned long long)job.hashes[i]);
        ptqi_json_add_text(w, ptq_store_name(m->store, i), text);
    }
    ptqi_json_close(w, '}');
    ptqi_free(m->context, job.hashes);
    return PTQ_OK;
}

static ptq_status add_config(const struct model *m, struct ptqi_json_writer *w)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root;
    char *path = ptqi_join_path(m->context, m->path, "config.json");
    ptq_status status = path ? ptqi_map_file(m->context, path, &file) : PTQ_ERROR_MEMORY;
    if (!status) {
        status =
            ptqi_json_parse(m->context, (const char *)file.data, file.size, path, &document, &root);
        if (!status)
            ptqi_json_add_value(w, "config.json", root);
        ptqi_json_free(document);
        ptqi_unmap_file(&file);
    }
    ptqi_free(m->context, path);
    return status;
}

ptq_status identity_add(const struct model *m, struct ptqi_json_writer *w)
{
    PTQI_TRY(add_config(m, w));
    return add_tensors(m, w);
}
