/*
 * The table of formats, and the public functions that use it.
 */
#include <string.h>
#include "format/format.h"
#include "format/part.h"

static const struct ptqi_format *const formats[] = {
    &ptqi_format_ptq, &ptqi_format_gptq, &ptqi_format_awq, &ptqi_format_compressed_tensors,
    &ptqi_format_gguf};
enum { FORMATS = sizeof formats / sizeof *formats };

static const struct ptqi_format *find(int32_t id)
{
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->id == id)
            return formats[i];
    return NULL;
}

static ptq_status unknown(ptq_context *context, const char *function, int32_t id)
{
    return ptqi_fail(context, PTQ_ERROR_UNKNOWN, "%s: there is no format %d", function, id);
}

int32_t ptq_format_from_name(const char *name)
{
    for (int i = 0; name && i < FORMATS; i++)
        if (!strcmp(formats[i]->name, name))
            return formats[i]->id;
    return 0;
}

const char *ptq_format_name(int32_t format)
{
    const struct ptqi_format *f = find(format);
    return f ? f->name : NULL;
}

int32_t ptq_format(int32_t index)
{
    return index >= 0 && index < FORMATS ? formats[index]->id : 0;
}

const char *ptq_format_ending(int32_t format, int32_t index)
{
    const struct ptqi_format *f = find(format);
    for (int32_t i = 0; f && index >= 0 && f->endings[i]; i++)
        if (i == index)
            return f->endings[i];
    return NULL;
}

int64_t ptq_format_config(int32_t format, const ptq_qtensor *q, char *buffer, int64_t capacity)
{
    const struct ptqi_format *f = find(format);
    struct ptqi_json_writer w;
    int64_t length = 0;
    if (!f || !q || !f->describe)
        return ptqi_copy_out("", buffer, capacity);
    ptqi_json_begin(&w, q->context);
    ptqi_json_open(&w, NULL, '{');
    f->describe(q, &w);
    ptqi_json_close(&w, '}');
    length = ptqi_copy_out(ptqi_json_finish(&w) ? "" : w.text, buffer, capacity);
    ptqi_json_end(&w);
    return length;
}

ptq_status ptq_format_can_hold(int32_t format, const ptq_qtensor *q)
{
    PTQI_REQUIRE(NULL, q);
    const struct ptqi_format *f = find(format);
    if (!f)
        return unknown(q->context, __func__, format);
    const char *problem = f->can_hold(q);
    return problem ? ptqi_fail(q->context, PTQ_ERROR_UNSUPPORTED, "%s", problem) : PTQ_OK;
}

int32_t ptq_format_find(const ptq_store *store, const char *prefix)
{
    for (int i = 0; store && prefix && i < FORMATS; i++)
        if (formats[i]->find(store, prefix))
            return formats[i]->id;
    return 0;
}

/* Whether the part with ending i is the first one that the matrix has. */
static int is_first_part(const struct ptqi_format *f, const ptq_store *store, const char *prefix,
                         int i)
{
    int first = 0;
    while (first < i && !ptqi_part(store, prefix, f->endings[first]))
        first++;
    return first == i;
}

/* If a tensor is the first part of a matrix in this format, copies the matrix's prefix. */
static int read_prefix(const struct ptqi_format *f, const ptq_store *store, const char *name,
                       char *prefix)
{
    const size_t length = strlen(name);
    for (int i = 0; f->endings[i]; i++) {
        const size_t tail = strlen(f->endings[i]), rest = length - tail;
        if (length <= tail || rest > PTQI_MAX_PREFIX || strcmp(name + rest, f->endings[i]))
            continue;
        memcpy(prefix, name, rest);
        prefix[rest] = 0;
        if (is_first_part(f, store, prefix, i) && ptq_format_find(store, prefix) == f->id)
            return 1;
    }
    return 0;
}

static int is_matrix(const ptq_store *store, const char *name, char *prefix)
{
    for (int i = 0; i < FORMATS; i++)
        if (read_prefix(formats[i], store, name, prefix))
            return 1;
    return 0;
}

int64_t ptq_format_matrix(const ptq_store *store, int64_t index, char *buffer, int64_t capacity)
{
    char prefix[PTQI_MAX_PREFIX + 1];
    const int64_t count = index >= 0 ? ptq_store_count(store) : 0;
    for (int64_t i = 0; i < count; i++)
        if (is_matrix(store, ptq_store_name(store, i), prefix) && index-- == 0)
            return ptqi_copy_out(prefix, buffer, capacity);
    return ptqi_copy_out("", buffer, capacity);
}

ptq_status ptq_qtensor_write(const ptq_qtensor *q, int32_t format, ptq_store *store,
                             const char *prefix)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(q->context, prefix);
    const struct ptqi_format *f = find(format);
    if (!f)
        return unknown(q->context, __func__, format);
    PTQI_TRY(ptqi_qtensor_check(q));
    PTQI_TRY(ptq_format_can_hold(format, q));
    return f->write(q, store, prefix);
}

ptq_status ptq_qtensor_read(ptq_context *context, int32_t format, const ptq_store *store,
                            const char *prefix, ptq_qtensor **q)
{
    PTQI_REQUIRE(context, q);
    *q = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_REQUIRE(context, store);
    PTQI_REQUIRE(context, prefix);
    const struct ptqi_format *f = find(format);
    if (!f)
        return unknown(context, __func__, format);
    if (!f->find(store, prefix))
        return ptqi_fail(context, PTQ_ERROR_UNKNOWN, "%.300s: no quantized matrix has this name",
                         prefix);
    ptq_status status = f->read(context, store, prefix, q);
    if (status) {
        ptq_qtensor_free(*q);
        *q = NULL;
    }
    return status;
}
