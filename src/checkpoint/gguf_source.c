#include "checkpoint/gguf_source.h"
#include <string.h>
#include "base/context.h"
#include "base/file.h"

ptq_status gguf_source_open(const struct checkpoint *c, ptq_store **source)
{
    ptq_status status = PTQ_OK;
    *source = NULL;
    if (c->gguf)
        return ptq_store_open(c->context, c->path, source);
    char *path = checkpoint_file(c, GGUF_SOURCE_NAME);
    if (!path)
        return PTQ_ERROR_MEMORY;
    if (ptqi_file_exists(path))
        status = ptq_store_open(c->context, path, source);
    ptqi_free(c->context, path);
    return status;
}

ptq_status gguf_source_copy(const ptq_store *source, ptq_store *to, const char *except)
{
    const char *key;
    for (int64_t i = 0; (key = ptq_store_metadata_key(source, i)); i++)
        if (!except || strcmp(key, except))
            PTQI_TRY(ptq_store_set_typed_metadata(to, key, ptq_store_metadata_type(source, key),
                                                  ptq_store_metadata(source, key)));
    for (int64_t i = 0; i < ptq_store_count(source); i++)
        if (!strncmp(ptq_store_name(source, i), "rope_", 5))
            PTQI_TRY(ptq_store_copy(to, source, ptq_store_name(source, i)));
    return PTQ_OK;
}
