/*
 * Sliding windows: how many keys a query sees in each layer.
 */
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"

static int allocate(struct config_reader *r, struct model_config *c)
{
    if (r->status)
        return 0;
    c->windows = ptqi_alloc_zero(r->context, c->layers, (int64_t)sizeof *c->windows);
    if (!c->windows)
        r->status = PTQ_ERROR_MEMORY;
    return c->windows != NULL;
}

/* null means no window, and a member that is absent the default of transformers. */
static int64_t read_window(struct config_reader *r, int64_t fallback)
{
    const int64_t window = config_integer(r, "sliding_window", INT64_MAX / 4, fallback);
    const struct ptqi_json *value = ptqi_json_get(r->root, "sliding_window");
    return value && value->kind == PTQI_JSON_NULL ? 0 : window;
}

void window_of_all(struct config_reader *r, struct model_config *c, int64_t fallback)
{
    const int64_t window = read_window(r, fallback);
    if (!window || !allocate(r, c))
        return;
    for (int64_t l = 0; l < c->layers; l++)
        c->windows[l] = window;
}

/* layer_types has one entry for each layer. */
static void read_layer_types(struct config_reader *r, struct model_config *c, int64_t window)
{
    const struct ptqi_json *types = config_member(r, "layer_types");
    int64_t l = 0;
    if (types->kind != PTQI_JSON_ARRAY || types->count != c->layers) {
        config_fail(r, "layer_types", "does not have one entry for each layer");
        return;
    }
    for (const struct ptqi_json *type = types->first; type; type = type->next, l++) {
        const char *text = ptqi_json_string(type);
        const int slides = text && !strcmp(text, "sliding_attention");
        if (!slides && (!text || strcmp(text, "full_attention")))
            config_fail(r, "layer_types", "has an entry that is not supported");
        else if (slides && !window)
            config_fail(r, "layer_types", "has sliding_attention, but there is no sliding_window");
        c->windows[l] = slides ? window : 0;
    }
}

void window_by_pattern(struct config_reader *r, struct model_config *c, int64_t fallback,
                       int64_t pattern)
{
    const int64_t window = read_window(r, fallback);
    if (!allocate(r, c))
        return;
    if (config_member(r, "layer_types")) {
        read_layer_types(r, c, window);
        return;
    }
    for (int64_t l = 0; l < c->layers; l++)
        c->windows[l] = (l + 1) % pattern ? window : 0;
}

void window_by_layer(struct config_reader *r, struct model_config *c, int64_t fallback,
                     int64_t first)
{
    int64_t window = read_window(r, fallback);
    if (!config_flag(r, "use_sliding_window", 0))
        window = 0;
    /* Unlike other counts, this one may be 0. */
    const struct ptqi_json *from = config_member(r, "max_window_layers");
    if (from && (!ptqi_json_integer(from, &first) || first < 0))
        config_fail(r, "max_window_layers", "is not an integer in its range");
    if (!allocate(r, c))
        return;
    if (config_member(r, "layer_types")) {
        read_layer_types(r, c, window);
        return;
    }
    for (int64_t l = first; l < c->layers; l++)
        c->windows[l] = window;
}
