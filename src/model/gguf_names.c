#include "model/gguf_names.h"
#include <stdio.h>
#include <string.h>
#include "model/architecture.h"

static const char *const matrix_names[] = {
    [ROLE_Q] = "attn_q",      [ROLE_K] = "attn_k",       [ROLE_V] = "attn_v",
    [ROLE_QKV] = "attn_qkv",  [ROLE_O] = "attn_output",  [ROLE_GATE] = "ffn_gate",
    [ROLE_UP] = "ffn_up",     [ROLE_GATE_UP] = "ffn_up", /* of twice the height */
    [ROLE_DOWN] = "ffn_down",
};

static const char *const norm_names[NORMS] = {
    [NORM_ATTENTION] = "attn_norm",
    [NORM_MLP] = "ffn_norm",
    [NORM_Q] = "attn_q_norm",
    [NORM_K] = "attn_k_norm",
    [NORM_AFTER_ATTENTION] = "post_attention_norm",
    [NORM_AFTER_MLP] = "post_ffw_norm",
};

const char *gguf_architecture(const struct model_config *c)
{
    return c->architecture->gguf;
}

/* A tensor of a block. */
static int name_in_block(const struct model *m, int64_t block, const char *tensor, char *name)
{
    char other[MAX_LAYER_NAME];
    struct matrix matrix;
    const char *part = NULL, *ending = strrchr(tensor, '.'), *experts = "";
    if (model_find_matrix(m, block, tensor, &matrix)) {
        part = matrix_names[matrix.role];
        experts = matrix.expert < 0 ? "" : "_exps";
    }
    for (int i = 0; i < 2 * NORMS; i++)
        if (model_norm_name(m, block, i / 2, i % 2, other) && !strcmp(tensor, other))
            part = norm_names[i / 2];
    if (model_router_name(m, block, other) && !strcmp(tensor, other))
        part = "ffn_gate_inp";
    if (!part || (strcmp(ending, ".weight") && strcmp(ending, ".bias")))
        return 0;
    snprintf(name, MAX_GGUF_NAME, "blk.%lld.%s%s%s", (long long)block, part, experts, ending);
    return 1;
}

/* A tensor outside the blocks. */
static int name_outside(const struct model *m, const char *tensor, char *name)
{
    const struct architecture *a = m->config.architecture;
    const struct {
        const char *module, *name; /* module: without the ending, if whole is 0 */
        int whole;
    } modules[] = {{a->embedding, "token_embd.weight", 1},
                   {a->positions, "position_embd.weight", 1},
                   {a->embedding_norm, "token_embd_norm", 0},
                   {a->final_norm, "output_norm", 0}};
    const size_t prefix = strlen(m->prefix);
    if (!strcmp(tensor, "lm_head.weight")) {
        snprintf(name, MAX_GGUF_NAME, "output.weight");
        return 1;
    }
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        const size_t length = modules[i].module ? strlen(modules[i].module) : 0;
        if (!length || strncmp(tensor, m->prefix, prefix) ||
            strncmp(tensor + prefix, modules[i].module, length))
            continue;
        const char *ending = tensor + prefix + length;
        if (modules[i].whole ? *ending : strcmp(ending, ".weight") && strcmp(ending, ".bias"))
            continue;
        snprintf(name, MAX_GGUF_NAME, "%s%s", modules[i].name, ending);
        return 1;
    }
    return 0;
}

int gguf_name_of(const struct model *m, int64_t block, const char *tensor, char name[MAX_GGUF_NAME])
{
    if (!gguf_architecture(&m->config))
        return 0;
    return block < 0 ? name_outside(m, tensor, name) : name_in_block(m, block, tensor, name);
}

int gguf_name(const struct model *m, int64_t i, char name[MAX_GGUF_NAME])
{
    return gguf_name_of(m, m->checkpoint->places[i].block, ptq_store_name(m->checkpoint->store, i),
                        name);
}

int64_t gguf_row(const struct model_config *c, enum role role, int64_t n)
{
    const int64_t d = c->head_dim, width = c->heads * d;
    if (role == ROLE_QKV && c->architecture->qkv_by_head) /* all of q, then k, then v */
        return (3 * (n % width / d) + n / width) * d + n % d;
    if (!c->architecture->gguf_pairs || (role != ROLE_Q && role != ROLE_K))
        return n;
    return n / d * d + n % 2 * (d / 2) + n % d / 2;
}
