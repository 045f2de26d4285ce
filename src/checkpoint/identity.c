#include "checkpoint/identity.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/hash.h"
#include "base/team.h"
#include "store/store.h"

struct job {
    const struct checkpoint *c;
    uint64_t *hashes; /* [tensors] */
    int64_t parts;
};

/* Hashes type, shape and bytes of every parts-th tensor. */
static void hash_tensors(void *argument, int64_t part)
{
    struct job *j = argument;
    const ptq_store *store = j->c->store;
    for (int64_t i = part; i < ptq_store_count(store); i += j->parts) {
        const char *dtype = ptq_store_dtype(store, i);
        uint64_t h = ptqi_hash(PTQI_HASH_START, dtype, (int64_t)strlen(dtype));
        const struct ptqi_entry *e = &store->entries[i];
        h = ptqi_hash(h, e->shape, e->rank * (int64_t)sizeof *e->shape);
        j->hashes[i] = ptqi_hash_fast(h, ptq_store_data(store, i), ptq_store_bytes(store, i));
    }
}

static ptq_status add_tensors(const struct checkpoint *c, struct ptqi_json_writer *w)
{
    const int64_t count = ptq_store_count(c->store);
    struct job job = {c, ptqi_alloc(c->context, count, (int64_t)sizeof(uint64_t)),
                      ptqi_threads(c->context)};
    char text[24];
    if (!job.hashes)
        return PTQ_ERROR_MEMORY;
    const ptq_status status = ptqi_parallel(c->context, job.parts, hash_tensors, &job);
    ptqi_json_open(w, "tensors", '{');
    for (int64_t i = 0; i < count && !status; i++) {
        snprintf(text, sizeof text, "%016llx", (unsigned long long)job.hashes[i]);
        ptqi_json_add_text(w, ptq_store_name(c->store, i), text);
    }
    ptqi_json_close(w, '}');
    ptqi_free(c->context, job.hashes);
    return status;
}

ptq_status identity_add(const struct checkpoint *c, struct ptqi_json_writer *w)
{
    ptqi_json_add_value(w, "config.json", c->config);
    return add_tensors(c, w);
}
