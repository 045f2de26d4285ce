/*
 * Reads the header of a GGUF file, and checks where the tensors lie.
 */
#include <stdlib.h>
#include <string.h>
#include "gguf.h"

static const char alignment_key[] = "general.alignment";

/* Where the data of a tensor lie, counted from the beginning of the data. */
struct range {
    uint64_t begin, end;
    const char *name;
};

static ptq_status read_version(struct ptqi_gguf_cursor *c)
{
    uint32_t version;
    c->at += 4; /* the magic number */
    PTQI_TRY(ptqi_gguf_u32(c, &version));
    if (version == 2 || version == 3)
        return PTQ_OK;
    return ptqi_fail(c->store->context, PTQ_ERROR_UNSUPPORTED, "%s: %s", c->path,
                     version && !(version & 0xffff)
                         ? "a big-endian GGUF file is not supported"
                         : "only versions 2 and 3 of GGUF are supported");
}

ptq_status ptqi_gguf_alignment(const ptq_store *store, const char *path, uint64_t *alignment)
{
    const char *text = ptqi_store_value(store, alignment_key);
    double value = PTQI_GGUF_ALIGNMENT;
    if (text && (!ptqi_parse_number(text, (int64_t)strlen(text), &value) || !(value >= 1) ||
                 value > INT32_MAX))
        value = 0;
    *alignment = (uint64_t)value;
    if (!*alignment || *alignment & (*alignment - 1))
        return ptqi_fail(store->context, PTQ_ERROR_FORMAT, "%s: %s is not a power of two", path,
                         alignment_key);
    return PTQ_OK;
}

/* The shape; e->bytes are those of rows of whole blocks. */
static ptq_status read_shape(struct ptqi_gguf_cursor *c, struct ptqi_entry *e)
{
    uint32_t axes, id = 0;
    int64_t elements;
    PTQI_TRY(ptqi_gguf_u32(c, &axes));
    if (axes > PTQ_MAX_RANK)
        return ptqi_gguf_fail(c, e->name, "has too many axes");
    e->rank = (int32_t)axes;
    for (int32_t axis = e->rank; axis-- > 0;) {
        uint64_t size;
        PTQI_TRY(ptqi_gguf_u64(c, &size));
        e->shape[axis] = size > INT64_MAX ? INT64_MAX : (int64_t)size;
    }
    if (!ptqi_shape_elements(e->shape, e->rank, &elements))
        return ptqi_gguf_fail(c, e->name, "its shape is too large");
    PTQI_TRY(ptqi_gguf_u32(c, &id));
    const struct ptqi_gguf_tensor_type *type = ptqi_gguf_tensor_type(id);
    if (!type)
        return ptqi_fail(c->store->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: %.200s: type %lu of GGUF is not known", c->path, e->name,
                         (unsigned long)id);
    const int64_t columns = e->rank ? e->shape[e->rank - 1] : 1;
    if (columns % type->values)
        return ptqi_gguf_fail(c, e->name, "its rows do not consist of whole blocks");
    e->bytes = elements / type->values * type->bytes;
    strcpy(e->dtype_name, type->name);
    e->dtype = type->dtype;
    return PTQ_OK;
}

static ptq_status read_tensor(struct ptqi_gguf_cursor *c, uint64_t alignment, struct range *range)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_gguf_string(c));
    PTQI_TRY(ptqi_store_new_entry(c->store, c->text, &e));
    PTQI_TRY(read_shape(c, e));
    PTQI_TRY(ptqi_gguf_u64(c, &range->begin));
    if (range->begin % alignment)
        return ptqi_gguf_fail(c, e->name, "its data are not aligned");
    range->name = e->name;
    range->end = range->begin + (uint64_t)e->bytes;
    return range->end < range->begin ? ptqi_gguf_fail(c, e->name, "its data lie outside the file")
                                     : PTQ_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static ptq_status check_overlap(const struct ptqi_gguf_cursor *c, struct range *ranges,
                                int64_t count)
{
    qsort(ranges, (size_t)count, sizeof *ranges, by_begin);
    for (int64_t i = 1; i < count; i++)
        if (ranges[i].begin < ranges[i - 1].end)
            return ptqi_gguf_fail(c, ranges[i].name, "its data overlap another tensor's");
    return PTQ_OK;
}

/* Sets the data of all tensors, which begin at the next multiple of the alignment. */
static ptq_status place(const struct ptqi_gguf_cursor *c, const uint8_t *bytes, uint64_t alignment,
                        const struct range *ranges)
{
    const uint64_t size = (uint64_t)(c->end - bytes), header = (uint64_t)(c->at - bytes);
    const uint64_t begin = (header + alignment - 1) & ~(alignment - 1);
    for (int64_t i = 0; i < c->store->count; i++) {
        if (ranges[i].begin == ranges[i].end)
            c->store->entries[i].data = bytes;
        else if (begin > size || ranges[i].end > size - begin)
            return ptqi_gguf_fail(c, ranges[i].name, "its data lie outside the file (truncated?)");
        else
            c->store->entries[i].data = bytes + begin + ranges[i].begin;
    }
    return PTQ_OK;
}

/* The least that a tensor takes in the header: an empty name, no axes, type and offset. */
enum { LEAST_BYTES = 8 + 4 + 4 + 8 };

static ptq_status read_tensors(struct ptqi_gguf_cursor *c, const uint8_t *bytes, uint64_t count)
{
    uint64_t alignment;
    PTQI_TRY(ptqi_gguf_alignment(c->store, c->path, &alignment));
    if (count > (uint64_t)(c->end - c->at) / LEAST_BYTES)
        return ptqi_gguf_fail(c, "", "the header ends too early (truncated?)");
    struct range *ranges = ptqi_alloc(c->store->context, (int64_t)count, (int64_t)sizeof *ranges);
    ptq_status status = ranges ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (uint64_t i = 0; i < count && !status; i++)
        status = read_tensor(c, alignment, &ranges[i]);
    if (!status)
        status = place(c, bytes, alignment, ranges);
    if (!status && count)
        status = check_overlap(c, ranges, (int64_t)count);
    ptqi_free(c->store->context, ranges);
    return status;
}

static ptq_status read_header(struct ptqi_gguf_cursor *c, const uint8_t *bytes)
{
    uint64_t tensors, pairs;
    PTQI_TRY(read_version(c));
    PTQI_TRY(ptqi_gguf_u64(c, &tensors));
    PTQI_TRY(ptqi_gguf_u64(c, &pairs));
    for (uint64_t i = 0; i < pairs; i++)
        PTQI_TRY(ptqi_gguf_pair(c));
    return read_tensors(c, bytes, tensors);
}

ptq_status ptqi_gguf_read_bytes(ptq_store *store, const char *path, const uint8_t *bytes,
                                int64_t size)
{
    struct ptqi_gguf_cursor c = {.store = store, .path = path, .at = bytes, .end = bytes + size};
    if (size < 8)
        return ptqi_gguf_fail(&c, "", "too short for a GGUF file");
    const ptq_status status = read_header(&c, bytes);
    ptqi_free(store->context, c.text);
    return status;
}
