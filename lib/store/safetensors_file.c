/*
 * The safetensors format: header length n (u64, little-endian), n bytes of JSON, data.
 *
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
 *      "__metadata__": {"key": "value"}}
 *
 * Offsets count from the end of the header; the tensors must cover the data without holes or
 * overlaps. https://github.com/huggingface/safetensors
 */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "store.h"

#define MAX_HEADER 100000000 /* bytes, as in the reference reader */

static const char metadata_name[] = "__metadata__"; /* of the member that is no tensor */

static const struct {
    const char *name;
    int64_t size;
    int32_t dtype;
} types[] = {
    {"F32", 4, PTQ_DTYPE_F32},
    {"F16", 2, PTQ_DTYPE_F16},
    {"BF16", 2, PTQ_DTYPE_BF16},
    {"I8", 1, PTQ_DTYPE_I8},
    {"U8", 1, PTQ_DTYPE_U8},
    {"I32", 4, PTQ_DTYPE_I32},
    {"F64", 8, 0},
    {"I64", 8, 0},
    {"U64", 8, 0},
    {"U32", 4, 0},
    {"I16", 2, 0},
    {"U16", 2, 0},
    {"BOOL", 1, 0},
    {"F8_E4M3", 1, 0},
    {"F8_E5M2", 1, 0},
};

static ptq_status bad(ptq_store *s, const char *path, const char *name, const char *problem)
{
    return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s: %.200s%s%s", path, name, *name ? ": " : "",
                     problem);
}

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

struct range {
    int64_t begin, end;
    const char *name;
};

/* Reads one tensor from the header and checks it against the size of the data. */
static ptq_status read_entry(ptq_store *s, const char *path, const struct ptqi_json *m,
                             const uint8_t *data, int64_t size, struct range *range)
{
    const char *dtype = ptqi_json_string(ptqi_json_get(m, "dtype"));
    const struct ptqi_json *shape = ptqi_json_get(m, "shape");
    const struct ptqi_json *offsets = ptqi_json_get(m, "data_offsets");
    struct ptqi_entry *e;
    int64_t elements;
    size_t type = 0, known = sizeof types / sizeof *types;
    if ((int32_t)strlen(m->name) != m->name_length)
        return bad(s, path, m->name, "zero byte in the name");
    while (dtype && type < known && strcmp(types[type].name, dtype))
        type++;
    if (!dtype || type == known)
        return bad(s, path, m->name, "dtype missing or unknown");
    if (!shape || shape->kind != PTQI_JSON_ARRAY || shape->count > PTQ_MAX_RANK)
        return bad(s, path, m->name, "shape missing, or too many axes");
    if (!offsets || offsets->kind != PTQI_JSON_ARRAY || offsets->count != 2 ||
        !ptqi_json_integer(offsets->first, &range->begin) ||
        !ptqi_json_integer(offsets->first->next, &range->end))
        return bad(s, path, m->name, "data_offsets missing, or not two integers");
    if (range->begin < 0 || range->end < range->begin || range->end > size)
        return bad(s, path, m->name, "its data lie outside the file (truncated?)");
    PTQI_TRY(ptqi_store_new_entry(s, m->name, &e));
    range->name = m->name;
    e->dtype = types[type].dtype;
    strcpy(e->dtype_name, types[type].name);
    e->data = data + range->begin;
    for (const struct ptqi_json *axis = shape->first; axis; axis = axis->next) {
        int64_t length;
        if (!ptqi_json_integer(axis, &length) || length < 0)
            return bad(s, path, m->name, "invalid size in its shape");
        e->shape[e->rank++] = length;
    }
    if (!ptqi_shape_elements(e->shape, e->rank, &elements))
        return bad(s, path, m->name, "its shape is too large");
    e->bytes = elements * types[type].size;
    if (e->bytes != range->end - range->begin)
        return bad(s, path, m->name, "shape and data_offsets do not agree");
    return PTQ_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors must cover every byte of the data exactly once. */
static ptq_status check_cover(ptq_store *s, const char *path, struct range *ranges, int64_t count,
                              int64_t size)
{
    int64_t at = 0;
    if (count)
        qsort(ranges, (size_t)count, sizeof *ranges, by_begin);
    for (int64_t i = 0; i < count; i++) {
        if (ranges[i].begin != at)
            return bad(s, path, ranges[i].name,
                       ranges[i].begin < at ? "its data overlap another tensor's"
                                            : "hole in the data before it");
        at = ranges[i].end;
    }
    return at == size ? PTQ_OK : bad(s, path, "", "data at the end belong to no tensor");
}

static ptq_status read_header(ptq_store *s, const char *path, const struct ptqi_json *root,
                              const uint8_t *data, int64_t size)
{
    if (root->kind != PTQI_JSON_OBJECT)
        return bad(s, path, "", "the header is not an object");
    struct range *ranges = ptqi_alloc(s->context, root->count, (int64_t)sizeof *ranges);
    int64_t count = 0;
    ptq_status status = ranges ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (const struct ptqi_json *m = root->first; m && !status; m = m->next) {
        if (strcmp(m->name, metadata_name)) {
            status = read_entry(s, path, m, data, size, &ranges[count++]);
            continue;
        }
        if (m->kind != PTQI_JSON_OBJECT)
            status = bad(s, path, metadata_name, "no object");
        for (const struct ptqi_json *pair = m->first; pair && !status; pair = pair->next)
            status = pair->kind == PTQI_JSON_STRING && pair->name &&
                             (int32_t)strlen(pair->name) == pair->name_length &&
                             (int32_t)strlen(pair->text) == pair->length
                         ? ptqi_store_set_pair(s, pair->name, pair->text, 0)
                         : bad(s, path, metadata_name, "a value is not a plain string");
    }
    if (!status)
        status = check_cover(s, path, ranges, count, size);
    ptqi_free(s->context, ranges);
    return status;
}

ptq_status ptqi_safetensors_read_bytes(ptq_store *s, const char *path, const uint8_t *bytes,
                                       int64_t size)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    if (size < 8)
        return bad(s, path, "", "too short for a safetensors file");
    uint64_t header = read_u64(bytes);
    if (header > MAX_HEADER || (int64_t)header > size - 8)
        return bad(s, path, "",
                   "the length of the header is beyond the file (truncated, or not "
                   "safetensors)");
    PTQI_TRY(ptqi_json_parse(s->context, (const char *)bytes + 8, (int64_t)header, path, &document,
                             &root));
    ptq_status status = read_header(s, path, root, bytes + 8 + header, size - 8 - (int64_t)header);
    ptqi_json_free(document);
    return status;
}

ptq_status ptqi_safetensors_read(ptq_store *s, const char *path)
{
    const struct ptqi_map *map;
    PTQI_TRY(ptqi_store_map(s, path, &map));
    return ptqi_safetensors_read_bytes(s, path, map->data, map->size);
}

static int type_named(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name))
            return 1;
    return 0;
}

static ptq_status format_header(ptq_store *s, struct ptqi_json_writer *w)
{
    int64_t offset = 0;
    ptqi_json_begin(w, s->context);
    ptqi_json_open(w, NULL, '{');
    if (s->metadata_count) {
        ptqi_json_open(w, metadata_name, '{');
        for (int64_t i = 0; i < s->metadata_count; i++)
            ptqi_json_add_text(w, s->metadata[i].key, s->metadata[i].value);
        ptqi_json_close(w, '}');
    }
    for (int64_t i = 0; i < s->count; i++) {
        const struct ptqi_entry *e = &s->entries[i];
        if (!strcmp(e->name, metadata_name))
            return bad(s, s->path, e->name, "safetensors has no tensor with this name");
        if (!type_named(e->dtype_name))
            return bad(s, s->path, e->name, "safetensors has no such element type");
        if (e->bytes > INT64_MAX / 2 - offset)
            return ptqi_fail(s->context, PTQ_ERROR_SHAPE, "%s: more data than a file can hold",
                             s->path);
        ptqi_json_open(w, e->name, '{');
        ptqi_json_add_text(w, "dtype", e->dtype_name);
        ptqi_json_open(w, "shape", '[');
        for (int32_t axis = 0; axis < e->rank; axis++)
            ptqi_json_add_integer(w, NULL, e->shape[axis]);
        ptqi_json_close(w, ']');
        ptqi_json_open(w, "data_offsets", '[');
        ptqi_json_add_integer(w, NULL, offset);
        ptqi_json_add_integer(w, NULL, offset + e->bytes);
        ptqi_json_close(w, ']');
        ptqi_json_close(w, '}');
        offset += e->bytes;
    }
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}

ptq_status ptqi_safetensors_write(ptq_store *s)
{
    struct ptqi_json_writer header;
    struct ptqi_output output;
    uint8_t length[8];
    ptq_status status = format_header(s, &header);
    if (!status)
        status = ptqi_output_begin(s->context, s->path, &output);
    if (status) {
        ptqi_json_end(&header);
        return status;
    }
    uint64_t padded = ((uint64_t)header.length + 7) / 8 * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(padded >> (8 * i));
    status = ptqi_output_write(&output, length, 8);
    if (!status)
        status = ptqi_output_write(&output, header.text, header.length);
    if (!status)
        status = ptqi_output_write(&output, "       ", (int64_t)padded - header.length);
    for (int64_t i = 0; i < s->count && !status; i++)
        status = ptqi_output_write(&output, s->entries[i].data, s->entries[i].bytes);
    ptqi_json_end(&header);
    if (!status)
        return ptqi_output_commit(&output);
    ptqi_output_drop(&output);
    return status;
}
