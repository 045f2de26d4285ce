/*
 * config.json of a Hugging Face LLaMA, in the older style (rope_theta) and the newer
 * (rope_parameters), or BLOOM. What this program cannot compute is refused, not ignored.
 */
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "model/architecture.h"

struct reader {
    ptq_context *context;
    const char *path;
    const struct ptqi_json *root;
    ptq_status status;
};

static void fail(struct reader *r, const char *name, const char *problem)
{
    if (!r->status)
        r->status =
            ptqi_fail(r->context, PTQ_ERROR_FORMAT, "%s: \"%s\" %s", r->path, name, problem);
}

/* An integer member within 1 .. highest; fallback < 0 means that it must be there. */
static int64_t integer(struct reader *r, const char *name, int64_t highest, int64_t fallback)
{
    const struct ptqi_json *value = ptqi_json_get(r->root, name);
    int64_t number = fallback;
    if (!value || value->kind == PTQI_JSON_NULL) {
        if (fallback < 0)
            fail(r, name, "is missing");
    } else if (!ptqi_json_integer(value, &number) || number < 1 || number > highest) {
        fail(r, name, "is not an integer that can be");
    }
    return number;
}

static double real(struct reader *r, const struct ptqi_json *object, const char *name,
                   double fallback)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    if (!value || value->kind == PTQI_JSON_NULL)
        return fallback;
    if (value->kind != PTQI_JSON_NUMBER || !(value->number > 0))
        fail(r, name, "is not a positive number");
    return value->number;
}

/* The text of a string member, where it is there, must be one of the two given. */
static void expect(struct reader *r, const struct ptqi_json *object, const char *name,
                   const char *wanted, const char * or)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    const char *text = ptqi_json_string(value);
    if (!value || value->kind == PTQI_JSON_NULL)
        return;
    if (!text || (strcmp(text, wanted) && strcmp(text, or)))
        fail(r, name, "has a value that is not supported");
}

static void read_rope(struct reader *r, struct model_config *c)
{
    const struct ptqi_json *newer = ptqi_json_get(r->root, "rope_parameters");
    const struct ptqi_json *scaling = ptqi_json_get(r->root, "rope_scaling");
    const struct ptqi_json *from = newer && newer->kind == PTQI_JSON_OBJECT ? newer : r->root;
    c->rope_theta = real(r, from, "rope_theta", 10000.0);
    if (from == newer)
        expect(r, newer, "rope_type", "default", "default");
    if (scaling && scaling->kind == PTQI_JSON_OBJECT) {
        expect(r, scaling, "rope_type", "default", "default");
        expect(r, scaling, "type", "default", "default");
    }
}

static void read_quantization(struct reader *r, struct model_config *c)
{
    const struct ptqi_json *q = ptqi_json_get(r->root, "quantization_config");
    if (!q || q->kind == PTQI_JSON_NULL)
        return;
    const char *method = ptqi_json_string(ptqi_json_get(q, "quant_method"));
    c->quantized = 1;
    if (!method || strcmp(method, "ptq"))
        fail(r, "quantization_config", "is of a format that is not supported");
}

static void read_llama(struct reader *r, struct model_config *c)
{
    c->hidden = integer(r, "hidden_size", 131072, -1);
    c->intermediate = integer(r, "intermediate_size", 131072, -1);
    c->layers = integer(r, "num_hidden_layers", 10000, -1);
    c->heads = integer(r, "num_attention_heads", 4096, -1);
    c->kv_heads = integer(r, "num_key_value_heads", 4096, c->heads);
    c->vocabulary = integer(r, "vocab_size", 10000000, -1);
    c->max_positions = integer(r, "max_position_embeddings", 100000000, 2048);
    if (r->status)
        return;
    c->head_dim = integer(r, "head_dim", 4096, c->hidden / c->heads ? c->hidden / c->heads : 1);
    c->norm_epsilon = (float)real(r, r->root, "rms_norm_eps", 1e-6);
    c->tied = ptqi_json_flag(r->root, "tie_word_embeddings", 0);
    expect(r, r->root, "hidden_act", "silu", "swish");
    read_rope(r, c);
    if (c->heads % c->kv_heads)
        fail(r, "num_key_value_heads", "does not divide num_attention_heads");
    if (c->head_dim % 2)
        fail(r, "head_dim", "is odd");
}

/* Either of two names that an integer goes by. */
static int64_t either(struct reader *r, const char *name, const char *other, int64_t highest)
{
    return integer(r, ptqi_json_get(r->root, name) ? name : other, highest, -1);
}

static void read_bloom(struct reader *r, struct model_config *c)
{
    c->hidden = either(r, "n_embed", "hidden_size", 131072 / 4);
    c->layers = either(r, "num_hidden_layers", "n_layer", 10000);
    c->heads = either(r, "num_attention_heads", "n_head", 4096);
    c->vocabulary = integer(r, "vocab_size", 10000000, -1);
    if (r->status)
        return;
    if (c->hidden % c->heads)
        fail(r, "n_head", "does not divide hidden_size");
    if (ptqi_json_flag(r->root, "apply_residual_connection_post_layernorm", 0))
        fail(r, "apply_residual_connection_post_layernorm", "true is not supported");
    c->intermediate = 4 * c->hidden;
    c->kv_heads = c->heads;
    c->head_dim = c->hidden / c->heads;
    c->max_positions = 1 << 20; /* ALiBi has no end */
    c->norm_epsilon = (float)real(r, r->root, "layer_norm_epsilon", 1e-5);
    c->tied = ptqi_json_flag(r->root, "tie_word_embeddings", 1);
}

static ptq_status read(struct reader *r, struct model_config *c)
{
    const char *type = ptqi_json_string(ptqi_json_get(r->root, "model_type"));
    memset(c, 0, sizeof *c);
    if (type && !strcmp(type, llama.type)) {
        c->architecture = &llama;
        read_llama(r, c);
    } else if (type && !strcmp(type, bloom.type)) {
        c->architecture = &bloom;
        read_bloom(r, c);
    } else {
        return ptqi_fail(r->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: model_type \"%.60s\" is not supported (llama and bloom are)", r->path,
                         type ? type : "");
    }
    read_quantization(r, c);
    if (!r->status && c->heads * c->head_dim > 131072)
        fail(r, "head_dim", "makes the attention too wide");
    return r->status;
}

ptq_status model_read_config(ptq_context *context, const char *directory,
                             struct model_config *config)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    struct reader r = {.context = context};
    char *path = ptqi_join_path(context, directory, "config.json");
    ptq_status status = path ? ptqi_map_file(context, path, &file) : PTQ_ERROR_MEMORY;
    if (!status) {
        r.path = path;
        status =
            ptqi_json_parse(context, (const char *)file.data, file.size, path, &document, &r.root);
        if (!status)
            status = read(&r, config);
        ptqi_json_free(document);
        ptqi_unmap_file(&file);
    }
    ptqi_free(context, path);
    return status;
}
