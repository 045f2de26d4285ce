/*
 * ptq inspect: the contents of a checkpoint, and the features of this CPU.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/cpu.h"
#include "checkpoint/matrix_part.h"
#include "checkpoint/output.h"
#include "commands.h"
#include "options.h"
#include "report/json_report.h"
#include "report/listing.h"

static const char usage[] =
    "usage: ptq inspect MODEL|FILE [options]\n"
    "       ptq inspect --cpu\n"
    "\n"
    "Lists the tensors of a model directory, a .safetensors file or a GGUF file: type, shape,\n"
    "range; and for each quantized matrix its scheme and quantization error. Experts of a block\n"
    "are joined to one line, except with --json. Of a GGUF file, also the metadata.\n";

static const struct option table[] = {
    {"cpu", NULL, "show the available instruction sets and the one in use"},
    COMMON_OPTIONS,
};

struct inspect {
    ptq_context *context;
    struct checkpoint *checkpoint; /* of a model directory, else NULL */
    ptq_store *store;
    struct ptqi_json_writer *json; /* NULL: text */
    struct listing listing;
    int64_t tensors, matrices, bytes;
};

/* The length of the name of the quantized matrix that a tensor belongs to; 0 if none. */
static size_t matrix_of(const ptq_store *store, const char *name, char *matrix, size_t capacity)
{
    const char *dot = strrchr(name, '.');
    size_t length = dot ? (size_t)(dot - name) : 0;
    if (!length || length >= capacity)
        return 0;
    memcpy(matrix, name, length);
    matrix[length] = 0;
    return ptq_format_find(store, matrix) ? length : 0;
}

static const char *bits_of(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_F32           ? "32"
           : activations == PTQ_ACTIVATIONS_INT16_TOKEN ? "16"
                                                        : "8";
}

/* What the text says of a scheme beyond its bits. */
static const char *scheme_words(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_INT8_STATIC      ? " static"
           : activations == PTQ_ACTIVATIONS_UINT8_TOKEN    ? " uint8-token"
           : activations == PTQ_ACTIVATIONS_UINT8_STATIC   ? " uint8-static"
           : activations == PTQ_ACTIVATIONS_UINT8_CENTERED ? " uint8-centered"
           : activations == PTQ_ACTIVATIONS_INT8_GROUP     ? " int8-group"
                                                           : "";
}

/* The type of a matrix in GGUF, "Q4_K"; NULL in other files. */
static const char *gguf_type(const struct inspect *in, const char *name)
{
    char whole[544];
    snprintf(whole, sizeof whole, "%s.weight", name);
    return ptq_format_find(in->store, name) == PTQ_FORMAT_GGUF
               ? ptq_store_dtype(in->store, ptq_store_find(in->store, whole))
               : NULL;
}

static void add_matrix_json(const struct inspect *in, const char *name, const ptq_qtensor *q)
{
    const char *type = gguf_type(in, name);
    ptqi_json_open(in->json, NULL, '{');
    ptqi_json_add_text(in->json, "name", name);
    if (type)
        ptqi_json_add_text(in->json, "type", type);
    ptqi_json_add_integer(in->json, "n", ptq_qtensor_n(q));
    ptqi_json_add_integer(in->json, "k", ptq_qtensor_k(q));
    ptqi_json_add_integer(in->json, "bits", ptq_qtensor_bits(q));
    ptqi_json_add_integer(in->json, "group", ptq_qtensor_group(q));
    ptqi_json_add_bool(in->json, "sym", ptq_qtensor_symmetric(q));
    ptqi_json_add_bool(in->json, "act_order", ptq_qtensor_has_order(q));
    ptqi_json_add_bool(in->json, "input_scale", ptq_qtensor_has_input_scale(q));
    ptqi_json_add_text(in->json, "activations", ptq_activations_name(ptq_qtensor_activations(q)));
    ptqi_json_add_number(in->json, "weight_error", ptq_qtensor_weight_error(q), 9);
    ptqi_json_add_number(in->json, "output_error", ptq_qtensor_output_error(q), 9);
    ptqi_json_close(in->json, '}');
}

static const char *form_words(const ptq_qtensor *q)
{
    return ptq_qtensor_has_minima(q)   ? "minima"
           : ptq_qtensor_has_levels(q) ? "levels"
           : ptq_qtensor_symmetric(q)  ? "sym"
                                       : "asym";
}

/* Whether a GPTQ matrix has zero points of 0 in the format that stores them less one. Readers that
 * do not borrow from the next one take them for 16. */
static int has_borrowed_zeros(const struct inspect *in, const char *name, const ptq_qtensor *q)
{
    const struct ptqi_json *settings = in->checkpoint ? in->checkpoint->quantization : NULL;
    const char *version = ptqi_json_string(ptqi_json_get(settings, "checkpoint_format"));
    const int64_t count = ptq_qtensor_n(q) * ptq_qtensor_groups(q);
    int found = 0;
    if (ptq_format_find(in->store, name) != PTQ_FORMAT_GPTQ || ptq_qtensor_symmetric(q) ||
        (version && strcmp(version, "gptq")))
        return 0;
    uint8_t *zeros = ptqi_alloc(in->context, count, 1);
    if (zeros && !ptq_qtensor_zeros(q, zeros))
        found = memchr(zeros, 0, (size_t)count) != NULL;
    ptqi_free(in->context, zeros);
    return found;
}

static ptq_status list_matrix(struct inspect *in, const char *name, const ptq_qtensor *q)
{
    const int32_t activations = ptq_qtensor_activations(q);
    const double weight = ptq_qtensor_weight_error(q), output = ptq_qtensor_output_error(q);
    const struct listing_range errors[2] = {{weight, weight}, {output, output}};
    const char *type = gguf_type(in, name);
    char text[128];
    snprintf(text, sizeof text, "%s%sW%dA%s [%lld, %lld] group %lld %s%s%s%s%s", type ? type : "",
             type ? " " : "", ptq_qtensor_bits(q), bits_of(activations),
             (long long)ptq_qtensor_n(q), (long long)ptq_qtensor_k(q),
             (long long)ptq_qtensor_group(q), form_words(q),
             ptq_qtensor_has_order(q) ? " act-order" : "",
             ptq_qtensor_has_input_scale(q) ? " input-scale" : "", scheme_words(activations),
             has_borrowed_zeros(in, name, q) ? " zeros-stored-as-all-ones" : "");
    return listing_add(&in->listing, name, text, errors);
}

static ptq_status show_matrix(struct inspect *in, const char *name)
{
    ptq_qtensor *q;
    ptq_status status = PTQ_OK;
    PTQI_TRY(ptq_qtensor_read(in->context, ptq_format_find(in->store, name), in->store, name, &q));
    in->matrices++;
    if (in->json)
        add_matrix_json(in, name, q);
    else
        status = list_matrix(in, name, q);
    ptq_qtensor_free(q);
    return status;
}

/* The smallest and largest value of a float tensor; NaN if it is empty. */
static ptq_status range_of(struct inspect *in, const ptq_tensor *t, double *low, double *high)
{
    int32_t dtype = ptq_tensor_dtype(t);
    int64_t count = ptq_tensor_elements(t);
    *low = *high = (double)NAN;
    if (dtype != PTQ_DTYPE_F32 && dtype != PTQ_DTYPE_F16 && dtype != PTQ_DTYPE_BF16)
        return PTQ_OK;
    float *values = ptqi_alloc(in->context, count, (int64_t)sizeof *values);
    ptq_status status = values ? ptq_tensor_to_f32(t, values) : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++) {
        if (!(values[i] >= *low))
            *low = values[i];
        if (!(values[i] <= *high))
            *high = values[i];
    }
    ptqi_free(in->context, values);
    return status;
}

static ptq_status show_tensor(struct inspect *in, int64_t index)
{
    const char *name = ptq_store_name(in->store, index), *dtype = ptq_store_dtype(in->store, index);
    ptq_tensor *t = NULL;
    char shape[100] = "", text[128];
    struct listing_range range[2] = {{0, 0}, {(double)NAN, (double)NAN}};
    PTQI_TRY(ptq_store_tensor(in->store, name, &t));
    ptq_status status = range_of(in, t, &range[0].low, &range[0].high);
    if (in->json) {
        ptqi_json_open(in->json, NULL, '{');
        ptqi_json_add_text(in->json, "name", name);
        ptqi_json_add_text(in->json, "dtype", dtype);
        ptqi_json_open(in->json, "shape", '[');
    }
    for (int32_t i = 0; i < ptq_tensor_rank(t); i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%lld", i ? ", " : "",
                 (long long)ptq_tensor_size(t, i));
        if (in->json)
            ptqi_json_add_integer(in->json, NULL, ptq_tensor_size(t, i));
    }
    if (in->json) {
        ptqi_json_close(in->json, ']');
        ptqi_json_add_integer(in->json, "bytes", ptq_tensor_bytes(t));
        ptqi_json_add_number(in->json, "min", range[0].low, 9);
        ptqi_json_add_number(in->json, "max", range[0].high, 9);
        ptqi_json_close(in->json, '}');
    } else if (!status) {
        snprintf(text, sizeof text, "%s [%s]", dtype, shape);
        status = listing_add(&in->listing, name, text, range);
    }
    in->tensors++;
    ptq_tensor_free(t);
    return status;
}

/* Shows a tensor whose type this library does not support. */
static ptq_status show_foreign(struct inspect *in, int64_t index)
{
    in->tensors++;
    if (!in->json) {
        const struct listing_range unknown[2] = {{(double)NAN, (double)NAN},
                                                 {(double)NAN, (double)NAN}};
        char text[128];
        snprintf(text, sizeof text, "%.90s, %lld bytes", ptq_store_dtype(in->store, index),
                 (long long)ptq_store_bytes(in->store, index));
        return listing_add(&in->listing, ptq_store_name(in->store, index), text, unknown);
    }
    ptqi_json_open(in->json, NULL, '{');
    ptqi_json_add_text(in->json, "name", ptq_store_name(in->store, index));
    ptqi_json_add_text(in->json, "dtype", ptq_store_dtype(in->store, index));
    ptqi_json_add_integer(in->json, "bytes", ptq_store_bytes(in->store, index));
    ptqi_json_close(in->json, '}');
    return PTQ_OK;
}

/* Tensor index holds the first codes of a matrix. Some types of GGUF can only be listed. */
static ptq_status show_quantized(struct inspect *in, int64_t index, const char *matrix)
{
    const ptq_status status = show_matrix(in, matrix);
    return status == PTQ_ERROR_UNSUPPORTED && gguf_type(in, matrix) ? show_foreign(in, index)
                                                                    : status;
}

static int is_known(const char *dtype)
{
    return strstr(" F32 F16 BF16 I8 U8 I32 ", dtype) != NULL;
}

/* Shows each quantized matrix once (at its codes), or all other tensors. */
static ptq_status show_all(struct inspect *in, int quantized)
{
    char matrix[512];
    for (int64_t i = 0; i < ptq_store_count(in->store); i++) {
        const char *name = ptq_store_name(in->store, i);
        size_t length = matrix_of(in->store, name, matrix, sizeof matrix);
        /* A matrix is shown when its first part is reached. */
        const enum matrix_part part =
            length ? matrix_part(in->store, matrix, name + length) : PART_NONE;
        if (part == PART_FIRST && quantized)
            PTQI_TRY(show_quantized(in, i, matrix));
        if (!part && !quantized && is_known(ptq_store_dtype(in->store, i)))
            PTQI_TRY(show_tensor(in, i));
        else if (!part && !quantized)
            PTQI_TRY(show_foreign(in, i));
        if (!quantized)
            in->bytes += ptq_store_bytes(in->store, i);
    }
    return PTQ_OK;
}

/* Metadata of a GGUF file; in others, they belong to matrices. Long values are shortened. */
static void print_metadata(const ptq_store *store)
{
    enum { SHOWN = 60 };
    const char *key;
    if (!ptq_store_metadata(store, "general.architecture"))
        return;
    for (int64_t i = 0; (key = ptq_store_metadata_key(store, i)); i++) {
        char text[SHOWN + 1];
        const char *value = ptq_store_metadata(store, key);
        int shown = (int)strnlen(value, SHOWN);
        while (shown && ((unsigned char)value[shown] & 0xc0) == 0x80)
            shown--; /* not in the middle of a character */
        snprintf(text, sizeof text, "%.*s", shown, value);
        for (char *c = text; *c; c++)
            *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
        printf("%s %s = %s%s\n", ptq_store_metadata_type(store, key), key, text,
               strlen(value) > strlen(text) ? " .." : "");
    }
}

static void add_metadata_json(const ptq_store *store, struct ptqi_json_writer *w)
{
    const char *key;
    if (!ptq_store_metadata(store, "general.architecture"))
        return;
    ptqi_json_open(w, "metadata", '{');
    for (int64_t i = 0; (key = ptq_store_metadata_key(store, i)); i++)
        ptqi_json_add_text(w, key, ptq_store_metadata(store, key));
    ptqi_json_close(w, '}');
}

/* The version of the algorithms that quantized the matrices; 0 if the file does not say. */
static int64_t algorithm_version(const ptq_store *store)
{
    const char *text = ptq_store_metadata(store, OUTPUT_ALGORITHM_KEY);
    double version;
    return text && ptqi_parse_number(text, (int64_t)strlen(text), &version) && version >= 1 &&
                   version <= INT32_MAX
               ? (int64_t)version
               : 0;
}

/* A model directory says in config.json how its matrices are encoded. */
static ptq_status open_store(struct inspect *in, const char *path)
{
    char *config = ptqi_join_path(in->context, path, "config.json");
    const int is_model = config && ptqi_file_exists(config);
    ptqi_free(in->context, config);
    if (!is_model)
        return ptq_store_open(in->context, path, &in->store);
    PTQI_TRY(checkpoint_open(in->context, path, &in->checkpoint));
    in->store = in->checkpoint->store;
    return PTQ_OK;
}

static ptq_status inspect_store(struct inspect *in, const char *path)
{
    struct ptqi_json_writer w;
    PTQI_TRY(open_store(in, path));
    const int64_t version = algorithm_version(in->store);
    if (!in->json) {
        print_metadata(in->store);
        PTQI_TRY(show_all(in, 0));
        listing_print(&in->listing, (const char *const[]){"", ""}, 0);
        PTQI_TRY(show_all(in, 1));
        listing_print(&in->listing, (const char *const[]){"weight error ", "output error "}, 1);
        printf("%lld tensors, %lld quantized matrices, %.1f MB\n", (long long)in->tensors,
               (long long)in->matrices, (double)in->bytes / 1e6);
        if (version)
            printf("quantized by version %lld of the algorithms\n", (long long)version);
        return PTQ_OK;
    }
    in->json = &w;
    ptqi_json_begin(&w, in->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_open(&w, "tensors", '[');
    ptq_status status = show_all(in, 0);
    ptqi_json_close(&w, ']');
    ptqi_json_open(&w, "matrices", '[');
    if (!status)
        status = show_all(in, 1);
    ptqi_json_close(&w, ']');
    add_metadata_json(in->store, &w);
    ptqi_json_add_integer(&w, "bytes", in->bytes);
    if (version)
        ptqi_json_add_integer(&w, OUTPUT_ALGORITHM_KEY, version);
    ptqi_json_close(&w, '}');
    if (!status)
        return report_print(&w);
    ptqi_json_end(&w);
    return status;
}

static const struct {
    uint32_t bit;
    const char *name;
} features[] = {
    {PTQI_CPU_AVX2, "avx2+fma+f16c"},
    {PTQI_CPU_AVX_VNNI, "avx-vnni"},
    {PTQI_CPU_AVX512_VNNI, "avx512+vnni"},
    {PTQI_CPU_AMX_INT8, "amx-int8"},
    {PTQI_CPU_NEON, "neon"},
    {PTQI_CPU_DOTPROD, "dotprod"},
    {PTQI_CPU_I8MM, "i8mm"},
};

static ptq_status print_cpu(const struct inspect *in)
{
    printf("found:  ");
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (ptqi_cpu_features() & features[i].bit)
            printf(" %s", features[i].name);
    printf("\nkernels:");
    for (int32_t i = 0; ptq_isa(i); i++)
        if (ptq_isa_usable(ptq_isa(i)))
            printf(" %s", ptq_isa_name(ptq_isa(i)));
    printf("\nused:    %s, %d threads\n", ptq_isa_name(ptq_context_isa(in->context)),
           ptq_context_threads(in->context));
    return PTQ_OK;
}

static ptq_status inspect_cpu(struct inspect *in)
{
    struct ptqi_json_writer w;
    if (!in->json)
        return print_cpu(in);
    ptqi_json_begin(&w, in->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_open(&w, "features", '[');
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (ptqi_cpu_features() & features[i].bit)
            ptqi_json_add_text(&w, NULL, features[i].name);
    ptqi_json_close(&w, ']');
    ptqi_json_open(&w, "kernels", '[');
    for (int32_t i = 0; ptq_isa(i); i++)
        if (ptq_isa_usable(ptq_isa(i)))
            ptqi_json_add_text(&w, NULL, ptq_isa_name(ptq_isa(i)));
    ptqi_json_close(&w, ']');
    ptqi_json_add_text(&w, "used", ptq_isa_name(ptq_context_isa(in->context)));
    ptqi_json_add_integer(&w, "threads", ptq_context_threads(in->context));
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

int command_inspect(int argc, char **argv)
{
    struct options o;
    struct inspect in = {0};
    struct ptqi_json_writer json;
    int rc = options_parse(&o, "inspect", usage, table, argc, argv);
    if (rc)
        return rc;
    int cpu = option_given(&o, "cpu");
    if (o.positional_count != !cpu)
        return usage_error(&o, cpu ? "--cpu takes no other arguments" : "needs a model or a file");
    rc = options_context(&o, &in.context);
    if (!rc) {
        in.listing.context = in.context;
        in.json = option_given(&o, "json") ? &json : NULL;
        ptq_status status = cpu ? inspect_cpu(&in) : inspect_store(&in, o.positional[0]);
        rc = status ? report_failure(status) : 0;
    }
    listing_free(&in.listing);
    if (!in.checkpoint)
        ptq_store_free(in.store);
    checkpoint_free(in.checkpoint);
    ptq_context_free(in.context);
    return rc;
}
