/*
 * Checks the tensors of a checkpoint against those that the model reads. A tensor that takes part
 * in the original computation but not in ours must not be skipped: a norm of q, a LoRA, a
 * quantization scale, a bias that config.json rules out. Buffers, mostly integer ones such as
 * positions and masks, are allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/matrix_part.h"

static ptq_status fail(const struct model *m, const char *name, const char *problem)
{
    return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED, "%s: %.200s %s", m->checkpoint->path, name,
                     problem);
}

static int is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(text, *list))
            return 1;
    return 0;
}

static int holds_floats(const char *dtype)
{
    static const char *const floats[] = {"F32", "F16", "BF16", "F64", "F8_E4M3", "F8_E5M2", NULL};
    return is_one_of(dtype, floats);
}

/* Whether the suffix after a matrix's name denotes a part of it: weight and bias, or the parts of
 * the quantized matrix, if the store has it. */
static int is_part_of_matrix(const struct model *m, const struct matrix *matrix, const char *ending)
{
    const ptq_store *store = m->checkpoint->store;
    return !strcmp(ending, ".bias") ||
           (!strcmp(ending, ".weight") && !ptq_format_find(store, matrix->name)) ||
           matrix_part(store, matrix->name, ending) != PART_NONE;
}

/* Checks tensor i of the store, name, which belongs to a block. *rewritten: it is a matrix, a bias,
 * a norm or a router. */
static ptq_status check_in_block(const struct model *m, int64_t block, int64_t i, const char *name,
                                 int *rewritten)
{
    const ptq_store *store = m->checkpoint->store;
    char prefix[MAX_LAYER_NAME], other[MAX_LAYER_NAME];
    struct matrix matrix;
    *rewritten = 1;
    if (model_find_matrix(m, block, name, &matrix))
        return is_part_of_matrix(m, &matrix, name + strlen(matrix.name))
                   ? PTQ_OK
                   : fail(m, name, "is part of a matrix in a way that is not supported");
    for (int j = 0; j < 2 * NORMS; j++)
        if (model_norm_name(m, block, j / 2, j % 2, other) && !strcmp(name, other))
            return PTQ_OK;
    if (model_router_name(m, block, other) && !strcmp(name, other))
        return PTQ_OK;
    *rewritten = 0;
    model_block_prefix(m, block, prefix);
    if (is_one_of(name + strlen(prefix), m->config.architecture->buffers))
        return PTQ_OK;
    if (holds_floats(ptq_store_dtype(store, i)) && ptq_store_bytes(store, i))
        return fail(m, name, "is a tensor of a block that this architecture does not use");
    unused_add(&m->checkpoint->unused, "", name);
    return PTQ_OK;
}

/* "model.layers." */
static void name_blocks(const struct model *m, char *blocks, size_t capacity)
{
    snprintf(blocks, capacity, "%s%s", m->prefix, m->config.architecture->blocks);
}

/* Whether the name contains a block's prefix after another prefix, as PEFT names LoRA tensors. */
static int has_block_inside(const struct model *m, const char *name)
{
    char blocks[MAX_LAYER_NAME];
    name_blocks(m, blocks, sizeof blocks);
    const char *found = *m->prefix ? strstr(name, blocks) : NULL;
    return found && found > name && found[-1] == '.';
}

/* The index of the block that a tensor belongs to, -1 for none. *length: of the block's prefix. */
static int64_t block_of(const struct model *m, const char *name, size_t *length)
{
    char blocks[MAX_LAYER_NAME], *end;
    name_blocks(m, blocks, sizeof blocks);
    *length = strlen(blocks);
    if (strncmp(name, blocks, *length) || name[*length] < '0' || name[*length] > '9')
        return -1;
    long long block = strtoll(name + *length, &end, 10);
    if (*end != '.' || (name[*length] == '0' && end - name > (ptrdiff_t)*length + 1))
        return -1;
    *length = (size_t)(end - name);
    return block;
}

/* Whether a tensor belongs to a module outside the blocks that is used; all its tensors must be
 * used. */
static int is_in_module(const char *name, const char *prefix, const char *module)
{
    const size_t a = strlen(prefix), b = strlen(module);
    return !strncmp(name, prefix, a) && !strncmp(name + a, module, b) && name[a + b] == '.';
}

/* The parts of an embedding or a head that is quantized are rewritten with it. */
static int is_part_of_quantized(const struct model *m, const char *name)
{
    char matrix[MAX_LAYER_NAME];
    const char *ending = strrchr(name, '.');
    if (!ending || ending - name >= MAX_LAYER_NAME)
        return 0;
    snprintf(matrix, sizeof matrix, "%.*s", (int)(ending - name), name);
    return matrix_part(m->checkpoint->store, matrix, ending) != PART_NONE;
}

static ptq_status check_outside(const struct model *m, const char *name, int *rewritten)
{
    const struct architecture *a = m->config.architecture;
    char embedding[MAX_LAYER_NAME], positions[MAX_LAYER_NAME];
    const char *learned = a->positions ? a->positions : ".";
    snprintf(embedding, sizeof embedding, "%.*s", (int)strcspn(a->embedding, "."), a->embedding);
    snprintf(positions, sizeof positions, "%.*s", (int)strcspn(learned, "."), learned);
    const char *const modules[] = {embedding, a->positions ? positions : NULL, a->final_norm,
                                   a->embedding_norm};
    for (int i = 0; i < 4; i++) {
        if (!modules[i] || !is_in_module(name, m->prefix, modules[i]))
            continue;
        const char *ending = name + strlen(m->prefix) + strlen(modules[i]);
        *rewritten = !i && is_part_of_quantized(m, name);
        if (*rewritten)
            return PTQ_OK;
        if (!strcmp(ending, ".weight") || (i > 1 && a->norm_bias && !strcmp(ending, ".bias")))
            return PTQ_OK;
        return fail(m, name, "is not supported");
    }
    if (is_in_module(name, "", "lm_head")) {
        *rewritten = is_part_of_quantized(m, name);
        return *rewritten || !strcmp(name, "lm_head.weight") ? PTQ_OK
                                                             : fail(m, name, "is not supported");
    }
    if (has_block_inside(m, name))
        return fail(m, name, "belongs to a block in a way that is not supported");
    unused_add(&m->checkpoint->unused, "", name);
    return PTQ_OK;
}

static ptq_status check_tensor(const struct model *m, int64_t i)
{
    const char *name = ptq_store_name(m->checkpoint->store, i);
    struct tensor_place *place = &m->checkpoint->places[i];
    char block_name[MAX_LAYER_NAME];
    size_t length;
    const int64_t block = block_of(m, name, &length);
    *place = (struct tensor_place){-1, 0};
    if (block < 0)
        return check_outside(m, name, &place->rewritten);
    if (block < m->config.layers) {
        place->block = block;
        return check_in_block(m, block, i, name, &place->rewritten);
    }
    snprintf(block_name, sizeof block_name, "%.*s", (int)length, name);
    unused_add(&m->checkpoint->unused, "all of ", block_name);
    return PTQ_OK;
}

/* Biases must exist where config.json requires them, and not where it rules them out. */
static ptq_status check_biases(const struct model *m, int64_t block)
{
    struct matrix matrix;
    char name[MAX_LAYER_NAME + 8];
    for (int i = 0; model_describe_matrix(m, block, i, &matrix); i++) {
        const int attention = matrix.site == SITE_ATTENTION || matrix.site == SITE_OUTPUT;
        const int wanted = matrix.site == SITE_ATTENTION ? m->config.attention_bias
                           : matrix.site == SITE_OUTPUT  ? m->config.output_bias
                                                         : m->config.mlp_bias;
        snprintf(name, sizeof name, "%s.bias", matrix.name);
        const int has = ptq_store_has(m->checkpoint->store, name);
        if (wanted == 1 && !has)
            return fail(m, name, "is missing");
        if (wanted == 0 && has)
            return fail(m, name,
                        attention ? "is there, but attention_bias is false, or this architecture "
                                    "has no such bias"
                                  : "is there, but mlp_bias is false, or this architecture has no "
                                    "such bias");
    }
    return PTQ_OK;
}

int model_has_quantized(const struct model *m)
{
    struct matrix matrix;
    for (int64_t b = 0; b < m->config.layers; b++)
        for (int i = 0; model_describe_matrix(m, b, i, &matrix); i++)
            if (ptq_format_find(m->checkpoint->store, matrix.name))
                return 1;
    return 0;
}

ptq_status model_check_contents(const struct model *m)
{
    for (int64_t i = 0; i < ptq_store_count(m->checkpoint->store); i++)
        PTQI_TRY(check_tensor(m, i));
    for (int64_t b = 0; b < m->config.layers; b++)
        PTQI_TRY(check_biases(m, b));
    return PTQ_OK;
}
