/*
 * Roles of matrices: their sites, shapes and names.
 */
#include <stdio.h>
#include <stdlib.h>
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

void role_shape(const struct model_config *c, enum role role, int64_t width, int64_t *n, int64_t *k)
{
    const int64_t heads = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const int64_t shapes[][2] = {
        [ROLE_Q] = {heads, c->hidden},    [ROLE_K] = {kv, c->hidden},
        [ROLE_V] = {kv, c->hidden},       [ROLE_QKV] = {heads + 2 * kv, c->hidden},
        [ROLE_O] = {c->hidden, heads},    [ROLE_GATE] = {width, c->hidden},
        [ROLE_UP] = {width, c->hidden},   [ROLE_GATE_UP] = {2 * width, c->hidden},
        [ROLE_DOWN] = {c->hidden, width},
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

struct matrix *block_matrix(const struct block *b, enum role role, int64_t expert)
{
    const int64_t each = b->experts ? (b->count - b->plain) / b->experts : 0;
    const int64_t first = expert < 0 ? 0 : b->plain + expert * each;
    const int64_t end = expert < 0 ? b->plain : first + each;
    for (int64_t i = first; i < end; i++)
        if (b->matrices[i].role == role)
            return (struct matrix *)(uintptr_t)&b->matrices[i];
    return NULL;
}

int block_site_count(const struct block *b, int first)
{
    int count = 1;
    while (first + count < b->count && b->matrices[first + count].site == b->matrices[first].site &&
           b->matrices[first + count].expert == b->matrices[first].expert)
        count++;
    return count;
}

void model_block_prefix(const struct model *m, int64_t block, char *name)
{
    snprintf(name, MAX_LAYER_NAME, "%s%s%lld.", m->prefix, m->config.architecture->blocks,
             (long long)block);
}

int64_t model_experts(const struct model *m, int64_t block)
{
    return m->config.has_experts && m->config.has_experts[block] ? m->config.experts : 0;
}

/* Whether the matrices of an entry belong to experts. */
static int is_of_experts(const struct matrix_entry *entry)
{
    return strchr(entry->name, '*') != NULL;
}

/* A block has the matrices of experts, or those of a dense MLP; the others it has in any case. */
static int is_there(const struct matrix_entry *entry, int64_t experts)
{
    const enum site site = role_site(entry->role);
    if (is_of_experts(entry))
        return experts > 0;
    return !experts || site == SITE_ATTENTION || site == SITE_OUTPUT;
}

/* Counts the matrices of a block that belong to none of its experts, and to each of them. */
static void count_matrices(const struct model *m, int64_t block, int *plain, int *each)
{
    const struct architecture *a = m->config.architecture;
    const int64_t experts = model_experts(m, block);
    *plain = *each = 0;
    for (int i = 0; i < a->matrix_count; i++)
        if (is_there(&a->matrices[i], experts))
            ++*(is_of_experts(&a->matrices[i]) ? each : plain);
}

int model_matrix_count(const struct model *m, int64_t block)
{
    int plain, each;
    count_matrices(m, block, &plain, &each);
    return plain + each * (int)model_experts(m, block);
}

/* Tensor names begin with the model's prefix and the block number. */
static void describe(const struct model *m, int64_t block, const struct matrix_entry *entry,
                     int64_t expert, struct matrix *matrix)
{
    const struct model_config *c = &m->config;
    const size_t before = strcspn(entry->name, "*");
    char prefix[MAX_LAYER_NAME], number[24] = "";
    memset(matrix, 0, sizeof *matrix);
    model_block_prefix(m, block, prefix);
    if (expert >= 0)
        snprintf(number, sizeof number, "%lld", (long long)expert);
    snprintf(matrix->name, sizeof matrix->name, "%.70s%.*s%s%.40s", prefix, (int)before,
             entry->name, number, expert < 0 ? "" : entry->name + before + 1);
    matrix->role = entry->role;
    matrix->site = role_site(entry->role);
    matrix->expert = expert;
    role_shape(c, entry->role, expert < 0 ? c->intermediate : c->expert_width, &matrix->n,
               &matrix->k);
}

/* Matrix i of those that belong to experts, or of those that do not. */
static const struct matrix_entry *entry_of(const struct model *m, int64_t block, int i,
                                           int of_experts)
{
    const struct matrix_entry *entry = m->config.architecture->matrices;
    const int64_t experts = model_experts(m, block);
    for (;; entry++)
        if (is_there(entry, experts) && is_of_experts(entry) == of_experts && i-- == 0)
            return entry;
}

int model_describe_matrix(const struct model *m, int64_t block, int number, struct matrix *matrix)
{
    int plain, each;
    count_matrices(m, block, &plain, &each);
    if (number < 0 || number >= plain + each * (int)model_experts(m, block))
        return 0;
    if (number < plain)
        describe(m, block, entry_of(m, block, number, 0), -1, matrix);
    else
        describe(m, block, entry_of(m, block, (number - plain) % each, 1), (number - plain) / each,
                 matrix);
    return 1;
}

/* Whether a name begins with an entry's name and a dot. *expert: the number at the *, or -1. */
static int begins_with(const char *name, const struct matrix_entry *entry, int64_t *expert)
{
    const size_t before = strcspn(entry->name, "*"), after = strlen(entry->name + before);
    *expert = -1;
    if (strncmp(name, entry->name, before))
        return 0;
    name += before;
    if (!after)
        return *name == '.';
    const size_t digits = strspn(name, "0123456789");
    if (!digits || digits > 6 || (*name == '0' && digits > 1))
        return 0;
    *expert = strtol(name, NULL, 10);
    name += digits;
    return !strncmp(name, entry->name + before + 1, after - 1) && name[after - 1] == '.';
}

int model_find_matrix(const struct model *m, int64_t block, const char *tensor,
                      struct matrix *matrix)
{
    const struct architecture *a = m->config.architecture;
    const int64_t experts = model_experts(m, block);
    char prefix[MAX_LAYER_NAME];
    int64_t expert;
    model_block_prefix(m, block, prefix);
    for (int i = 0; i < a->matrix_count; i++) {
        if (!is_there(&a->matrices[i], experts) ||
            !begins_with(tensor + strlen(prefix), &a->matrices[i], &expert) || expert >= experts)
            continue;
        describe(m, block, &a->matrices[i], expert, matrix);
        return 1;
    }
    return 0;
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

int model_router_name(const struct model *m, int64_t block, char *name)
{
    if (!model_experts(m, block))
        return 0;
    model_block_prefix(m, block, name);
    const size_t used = strlen(name);
    snprintf(name + used, MAX_LAYER_NAME - used, "%s.weight", m->config.architecture->router);
    return 1;
}
