/*
 * Quantized tensors of GGUF files, one for each matrix:
 *
 *     <prefix>.weight    [N][K], rows of blocks; gguf_blocks.c
 */
#include <string.h>
#include "format/format.h"
#include "format/gguf_blocks.h"
#include "format/gguf_encode.h"
#include "format/part.h"
#include "store/gguf.h"

static const char weight[] = ".weight";
static const char *const endings[] = {weight, NULL};

/* Also of a type that cannot be read, so that reading says so. */
static int find(const ptq_store *store, const char *prefix)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, weight);
    const struct ptqi_gguf_tensor_type *type =
        e && !e->dtype && e->rank == 2 ? ptqi_gguf_tensor_named(e->dtype_name) : NULL;
    return type && type->values > 1;
}

/* The parts of a matrix while its rows are read. */
struct parts {
    uint8_t *codes;                     /* [n][k] */
    float *scales, *minima;             /* [n][groups] */
    float *super_scales, *super_minima; /* [n][k / 256] */
};

/* Row n of q from the bytes of a row. */
static void read_row(const struct ptqi_gguf_blocks *type, const uint8_t *bytes,
                     const ptq_qtensor *q, int64_t n, const struct parts *p)
{
    struct ptqi_gguf_block block;
    uint8_t *codes = p->codes + n * q->k;
    float *scales = p->scales + n * q->groups,
          *minima = p->minima ? p->minima + n * q->groups : NULL;
    const size_t groups = (size_t)(type->values / type->group);
    memset(&block, 0, sizeof block);
    for (int64_t at = 0; at < q->k; at += type->values, bytes += type->bytes) {
        const int64_t g = at / type->group;
        type->unpack(bytes, &block);
        memcpy(codes + at, block.codes, (size_t)type->values);
        memcpy(scales + g, block.scales, groups * sizeof *scales);
        if (minima)
            memcpy(minima + g, block.minima, groups * sizeof *minima);
        if (p->super_scales)
            p->super_scales[n * (q->k / type->values) + at / type->values] = block.super_scale;
        if (p->super_minima)
            p->super_minima[n * (q->k / type->values) + at / type->values] = -block.super_minimum;
    }
}

static ptq_status allocate_super(const struct ptqi_gguf_blocks *type, const ptq_qtensor *q,
                                 struct parts *p)
{
    const int64_t count = q->n * (q->k / type->values);
    if (type->values != PTQI_SUPER_COLUMNS)
        return PTQ_OK;
    p->super_scales = ptqi_alloc(q->context, count, (int64_t)sizeof *p->super_scales);
    if (type->has_minima)
        p->super_minima = ptqi_alloc(q->context, count, (int64_t)sizeof *p->super_minima);
    return p->super_scales && (p->super_minima || !type->has_minima) ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status read_rows(const struct ptqi_entry *e, const struct ptqi_gguf_blocks *type,
                            ptq_qtensor *q, struct parts *p)
{
    const int64_t row_bytes = q->k / type->values * type->bytes;
    p->codes = ptqi_alloc(q->context, q->n, q->k);
    p->scales = ptqi_alloc(q->context, q->n * q->groups, (int64_t)sizeof *p->scales);
    if (type->has_minima)
        p->minima = ptqi_alloc(q->context, q->n * q->groups, (int64_t)sizeof *p->minima);
    if (!p->codes || !p->scales || (type->has_minima && !p->minima))
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(allocate_super(type, q, p));
    for (int64_t n = 0; n < q->n; n++)
        read_row(type, (const uint8_t *)e->data + (e->rows ? e->rows[n] : n) * row_bytes, q, n, p);
    PTQI_TRY(ptq_qtensor_set_codes(q, p->codes));
    PTQI_TRY(ptq_qtensor_set_scales(q, p->scales));
    if (type->levels)
        PTQI_TRY(ptq_qtensor_set_levels(q, type->levels));
    if (p->minima)
        PTQI_TRY(ptq_qtensor_set_minima(q, p->minima));
    return p->super_scales ? ptq_qtensor_set_super_scales(q, p->super_scales, p->super_minima)
                           : PTQ_OK;
}

static ptq_status read(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, weight);
    const struct ptqi_gguf_blocks *type = ptqi_gguf_blocks(e->dtype_name);
    struct parts p = {NULL, NULL, NULL, NULL, NULL};
    if (!type)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "%s: %.300s%s: type %s of GGUF is not supported", store->path, prefix,
                         weight, e->dtype_name);
    PTQI_TRY(ptq_qtensor_create(context, e->shape[0], e->shape[1], type->bits, type->group, q));
    const ptq_status status = read_rows(e, type, *q, &p);
    ptqi_free(context, p.codes);
    ptqi_free(context, p.scales);
    ptqi_free(context, p.minima);
    ptqi_free(context, p.super_scales);
    ptqi_free(context, p.super_minima);
    return status ? ptqi_fail_at(context, status, prefix) : PTQ_OK;
}

static ptq_status write(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const char *problem;
    const int64_t shape[2] = {q->n, q->k};
    void *data = NULL;
    if (store->container != &ptqi_gguf)
        return ptqi_fail(store->context, PTQ_ERROR_CONFLICT,
                         "%s: the format gguf needs a store whose name ends in .gguf", store->path);
    const struct ptqi_gguf_blocks *type = ptqi_gguf_choose(q, &problem);
    if (!type)
        return ptqi_fail(store->context, PTQ_ERROR_UNSUPPORTED, "%.300s: %s", prefix, problem);
    const int64_t row_bytes = q->k / type->values * type->bytes;
    PTQI_TRY(ptqi_store_put_raw(store, ptqi_part_name(prefix, weight).text, type->name, 2, shape,
                                q->n * row_bytes, &data));
    for (int64_t n = 0; n < q->n; n++)
        ptqi_gguf_encode_row(q, type, n, (uint8_t *)data + n * row_bytes);
    return PTQ_OK;
}

static const char *can_hold(const ptq_qtensor *q)
{
    const char *problem;
    ptqi_gguf_choose(q, &problem);
    return problem;
}

const struct ptqi_format ptqi_format_gguf = {
    .id = PTQ_FORMAT_GGUF,
    .name = "gguf",
    .endings = endings,
    .find = find,
    .read = read,
    .write = write,
    .can_hold = can_hold,
};
