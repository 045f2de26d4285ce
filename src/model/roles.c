/*
 * Roles of matrices: their sites, shapes and names.
 */
#include <stdio.h>
#include <string.h>
#include "model/architecture.h"

enum site role_site(enum role role)
{
    static const enum site sites[] = {
        [ROLE_Q] = SITE_ATTENTION,   [ROLE_K] = SITE_ATTENTION, [ROLE_V] = SITE_ATTENTION,
        [ROLE_QKV] = SITE_ATTENTION, [ROLE_O] = SITE_OUTPUT,    [ROLE_GATE] = SITE_MLP,
        [ROLE_UP] = SITE_MLP,        [ROLE_GATE_UP] = SITE_MLP, [ROLE_DOWN] = SITE_DOWN,
    };
    return sites[role];
}

void role_shape(const struct model_config *c, enum role role, int64_t *n, int64_t *k)
{
    const int64_t heads = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const int64_t shapes[][2] = {
        [ROLE_Q] = {heads, c->hidden},
        [ROLE_K] = {kv, c->hidden},
        [ROLE_V] = {kv, c->hidden},
        [ROLE_QKV] = {heads + 2 * kv, c->hidden},
        [ROLE_O] = {c->hidden, heads},
        [ROLE_GATE] = {c->intermediate, c->hidden},
        [ROLE_UP] = {c->intermediate, c->hidden},
        [ROLE_GATE_UP] = {2 * c->intermediate, c->hidden},
        [ROLE_DOWN] = {c->hidden, c->intermediate},
    };
    *n = shapes[role][0];
    *k = shapes[role][1];
}

int64_t role_value_row(const struct model_config *c, enum role role, int64_t channel)
{
    const int64_t d = c->head_dim;
    if (role == ROLE_V)
        return channel;
    if (c->architecture->qkv_by_head)
        return (3 * (channel / d) + 2) * d + channel % d;
    return (c->heads + c->kv_heads) * d + channel;
}

int64_t role_value_channel(const struct model_config *c, enum role role, int64_t n)
{
    const int64_t d = c->head_dim, before = (c->heads + c->kv_heads) * d;
    if (role == ROLE_V)
        return n;
    if (role != ROLE_QKV)
        return -1;
    if (c->architecture->qkv_by_head)
        return n % (3 * d) < 2 * d ? -1 : n / (3 * d) * d + n % d;
    return n < before ? -1 : n - before;
}

int architecture_has(const struct architecture *a, enum role role)
{
    for (int i = 0; i < a->matrix_count; i++)
        if (a->matrices[i].role == role)
            return 1;
    return 0;
}

struct matrix *block_matrix(const struct block *b, enum role role)
{
    for (int i = 0; i < b->count; i++)
        if (b->matrices[i].role == role)
            return (struct matrix *)(uintptr_t)&b->matrices[i];
    return NULL;
}

int block_site_count(const struct block *b, int first)
{
    int count = 1;
    while (first + count < b->count && b->matrices[first + count].site == b->matrices[first].site)
        count++;
    return count;
}

void model_block_prefix(const struct model *m, int64_t block, char *name)
{
    snprintf(name, MAX_LAYER_NAME, "%s%s%lld.", m->prefix, m->config.architecture->blocks,
             (long long)block);
}

/* Tensor names begin with the model's prefix and the block number. */
int model_describe_matrix(const struct model *m, int64_t block, int number, struct matrix *matrix)
{
    const struct architecture *a = m->config.architecture;
    char prefix[MAX_LAYER_NAME];
    if (number < 0 || number >= a->matrix_count)
        return 0;
    memset(matrix, 0, sizeof *matrix);
    model_block_prefix(m, block, prefix);
    snprintf(matrix->name, sizeof matrix->name, "%.80s%.70s", prefix, a->matrices[number].name);
    matrix->role = a->matrices[number].role;
    matrix->site = role_site(matrix->role);
    role_shape(&m->config, matrix->role, &matrix->n, &matrix->k);
    return 1;
}

int64_t model_norm_name(const struct model *m, int64_t block, enum norm_role role, int bias,
                        char *name)
{
    const struct architecture *a = m->config.architecture;
    if (!a->norms[role] || (bias && !a->norm_bias))
        return 0;
    model_block_prefix(m, block, name);
    const size_t used = strlen(name);
    snprintf(name + used, MAX_LAYER_NAME - used, "%s.%s", a->norms[role], bias ? "bias" : "weight");
    return role == NORM_Q || role == NORM_K ? m->config.head_dim : m->config.hidden;
}
