/*
 * ptq layer: quantizes one matrix, for comparison with any other implementation.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "checkpoint/settings.h"
#include "commands.h"
#include "console/clock.h"
#include "linalg/matmul.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq layer IN.safetensors --weight NAME --input NAME --method METHOD -o "
    "OUT.safetensors\n"
    "\n"
    "Quantizes the matrix W [out, in] with the inputs X [tokens, in] and writes codes, scales, "
    "zeros,\n"
    "g_idx, dequant (and input_scale, act_scale if there are any). Scales stay f32.\n";

static const struct option table[] = {
    {"weight", "NAME", "the matrix, [out, in]"},
    {"input", "NAME", "its inputs, [tokens, in]"},
    {"test", "NAME", "rows not used for calibration; their error is reported as test_error"},
    {"o", "FILE", "the file to write"},
    {"output-rows", "N",
     "also write the product of the first N input rows, computed by the kernels"},
    SETTINGS_OPTIONS,
    COMMON_OPTIONS,
};

struct layer {
    ptq_context *context;
    ptq_config *config;
    ptq_store *in, *out;
    ptq_tensor *weight, *input, *test;
    ptq_stats *stats;
    ptq_qtensor *q;
    ptq_linear *linear;
    ptq_tensor *parts[8]; /* tensors of the output file */
    int part_count;
    double seconds, test_error; /* test_error < 0: not requested */
};

static ptq_status load(struct layer *l, const char *path, const struct options *o)
{
    const char *test = option_text(o, "test");
    PTQI_TRY(ptq_store_open(l->context, path, &l->in));
    PTQI_TRY(ptq_store_tensor(l->in, option_text(o, "weight"), &l->weight));
    PTQI_TRY(ptq_store_tensor(l->in, option_text(o, "input"), &l->input));
    if (test)
        PTQI_TRY(ptq_store_tensor(l->in, test, &l->test));
    const ptq_tensor *rows[] = {l->input, l->test};
    for (int i = 0; i < 2; i++)
        if (rows[i] && (ptq_tensor_rank(rows[i]) != 2 || ptq_tensor_rank(l->weight) != 2 ||
                        ptq_tensor_size(rows[i], 1) != ptq_tensor_size(l->weight, 1)))
            return ptqi_fail(l->context, PTQ_ERROR_SHAPE,
                             "%s: \"%s\" and \"%s\" are not [tokens, in] and [out, in]", path,
                             ptq_tensor_name(rows[i]), ptq_tensor_name(l->weight));
    return PTQ_OK;
}

/* Sets the sample that AWQ's clip search uses: as in the original, every max(T / 512, 1)-th row. */
static ptq_status set_sample(struct layer *l, int64_t tokens, int64_t k)
{
    int64_t step = tokens / 512 > 1 ? tokens / 512 : 1;
    return ptq_stats_set_sample(l->stats, ptq_tensor_data(l->input), ptq_tensor_dtype(l->input),
                                (tokens + step - 1) / step, k * step);
}

static ptq_status quantize(struct layer *l)
{
    int64_t k = ptq_tensor_size(l->input, 1);
    const ptq_tensor *weights[] = {l->weight};
    double start = clock_seconds();
    PTQI_TRY(ptq_stats_create(l->context, k, PTQ_STATS_HESSIAN, &l->stats));
    PTQI_TRY(ptq_stats_update(l->stats, ptq_tensor_data(l->input), ptq_tensor_dtype(l->input),
                              ptq_tensor_size(l->input, 0), k, NULL));
    PTQI_TRY(set_sample(l, ptq_tensor_size(l->input, 0), k));
    PTQI_TRY(ptq_quantize(l->config, weights, 1, l->stats, NULL, &l->q));
    l->seconds = clock_seconds() - start;
    return PTQ_OK;
}

/* y [rows][N] = x W^T, computed by the kernels. */
static ptq_status multiply(const struct layer *l, const void *x, int32_t dtype, int64_t rows,
                           float *y)
{
    const ptq_linear *linear = l->linear;
    ptq_call *call;
    PTQI_TRY(ptq_call_create(l->context, &linear, 1, &call));
    ptq_status status = ptq_call_set_x(call, x, dtype, rows, ptq_linear_k(linear));
    if (!status)
        status = ptq_call_set_y(call, 0, y, PTQ_DTYPE_F32, rows, ptq_linear_n(linear));
    if (!status)
        status = ptq_call_run(call, NULL, 0);
    ptq_call_free(call);
    return status;
}

/* X W^T - Y|^2 / |X W^T|^2 for the test rows; Y is computed by the packed linear. */
static ptq_status measure_test(struct layer *l)
{
    int64_t rows = ptq_tensor_size(l->test, 0), k = ptq_tensor_size(l->test, 1);
    int64_t n = ptq_tensor_size(l->weight, 0);
    float *x = ptqi_alloc(l->context, rows * k, 4), *w = ptqi_alloc(l->context, n * k, 4);
    float *exact = ptqi_alloc(l->context, rows * n, 4), *y = ptqi_alloc(l->context, rows * n, 4);
    double lost = 0, whole = 0;
    ptq_status status = x && w && exact && y ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptq_tensor_to_f32(l->test, x);
    if (!status)
        status = ptq_tensor_to_f32(l->weight, w);
    if (!status)
        status = ptqi_matmul_linear(l->context, rows, n, k, x, w, exact);
    if (!status)
        status = multiply(l, x, PTQ_DTYPE_F32, rows, y);
    for (int64_t i = 0; i < rows * n && !status; i++) {
        double d = (double)exact[i] - y[i];
        lost += d * d;
        whole += (double)exact[i] * exact[i];
    }
    l->test_error = whole > 0 ? lost / whole : 0;
    ptqi_free(l->context, x);
    ptqi_free(l->context, w);
    ptqi_free(l->context, exact);
    ptqi_free(l->context, y);
    return status;
}

/* Adds a tensor to the output file; the caller fills in its memory before the commit. */
static ptq_status add_part(struct layer *l, const char *name, int32_t dtype, int64_t rows,
                           int64_t columns, void **data)
{
    int64_t shape[2] = {rows, columns};
    int32_t rank = columns ? 2 : rows ? 1 : 0; /* a scalar has none */
    ptq_tensor **t = &l->parts[l->part_count];
    PTQI_TRY(ptq_tensor_create(l->context, dtype, rank, shape, t));
    l->part_count++;
    *data = ptq_tensor_data(*t);
    return ptq_store_add(l->out, name, *t);
}

static ptq_status write_output(struct layer *l, const char *path, int64_t rows)
{
    int64_t n = ptq_qtensor_n(l->q), k = ptq_qtensor_k(l->q), g = ptq_qtensor_groups(l->q);
    void *data;
    PTQI_TRY(ptq_store_create(l->context, path, &l->out));
    PTQI_TRY(add_part(l, "scales", PTQ_DTYPE_F32, n, g, &data));
    PTQI_TRY(ptq_qtensor_scales(l->q, data));
    PTQI_TRY(add_part(l, "dequant", PTQ_DTYPE_F32, n, k, &data));
    PTQI_TRY(ptq_qtensor_dequantize(l->q, data));
    PTQI_TRY(add_part(l, "g_idx", PTQ_DTYPE_I32, k, 0, &data));
    PTQI_TRY(ptq_qtensor_group_index(l->q, data));
    if (ptq_qtensor_has_input_scale(l->q)) {
        PTQI_TRY(add_part(l, "input_scale", PTQ_DTYPE_F32, k, 0, &data));
        PTQI_TRY(ptq_qtensor_input_scale(l->q, data));
    }
    if (ptq_qtensor_activation_scale(l->q) > 0) {
        PTQI_TRY(add_part(l, "act_scale", PTQ_DTYPE_F32, 0, 0, &data));
        *(float *)data = ptq_qtensor_activation_scale(l->q);
    }
    if (rows) {
        PTQI_TRY(add_part(l, "output", PTQ_DTYPE_F32, rows, n, &data));
        PTQI_TRY(multiply(l, ptq_tensor_data(l->input), ptq_tensor_dtype(l->input), rows, data));
    }
    PTQI_TRY(add_part(l, "codes", PTQ_DTYPE_U8, n, k, &data));
    PTQI_TRY(ptq_qtensor_codes(l->q, data));
    PTQI_TRY(add_part(l, "zeros", PTQ_DTYPE_U8, n, g, &data));
    PTQI_TRY(ptq_qtensor_zeros(l->q, data));
    return ptq_store_commit(l->out);
}

static ptq_status print_json(const struct layer *l)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, l->context);
    ptqi_json_open(&w, NULL, '{');
    settings_add(&w, l->config);
    ptqi_json_add_number(&w, "weight_error", ptq_qtensor_weight_error(l->q), 9);
    ptqi_json_add_number(&w, "output_error", ptq_qtensor_output_error(l->q), 9);
    if (l->test_error >= 0)
        ptqi_json_add_number(&w, "test_error", l->test_error, 9);
    ptqi_json_add_number(&w, "damping_used", ptq_qtensor_damping(l->q), 9);
    ptqi_json_add_number(&w, "seconds", l->seconds, 6);
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

static void print_text(const struct layer *l)
{
    printf("%lld x %lld, %s, %d bits, group %lld: weight error %.4e, output error %.4e",
           (long long)ptq_qtensor_n(l->q), (long long)ptq_qtensor_k(l->q),
           ptq_method_name(ptq_config_method(l->config)), ptq_qtensor_bits(l->q),
           (long long)ptq_qtensor_group(l->q), ptq_qtensor_weight_error(l->q),
           ptq_qtensor_output_error(l->q));
    if (l->test_error >= 0)
        printf(", test error %.4e", l->test_error);
    printf(", %.2f s\n", l->seconds);
}

static ptq_status run(struct layer *l, const struct options *o, int64_t rows)
{
    const char *const inputs[] = {o->positional[0]};
    PTQI_TRY(load(l, o->positional[0], o));
    PTQI_TRY(options_check_output(l->context, option_text(o, "o"), inputs, 1));
    if (rows > ptq_tensor_size(l->input, 0))
        rows = ptq_tensor_size(l->input, 0);
    PTQI_TRY(quantize(l));
    PTQI_TRY(ptq_linear_create(l->context, l->q, &l->linear));
    if (l->test)
        PTQI_TRY(measure_test(l));
    if (option_given(o, "o"))
        PTQI_TRY(write_output(l, option_text(o, "o"), rows));
    if (option_given(o, "json"))
        return print_json(l);
    print_text(l);
    return PTQ_OK;
}

static void finish(struct layer *l)
{
    ptq_store_free(l->out);
    for (int i = 0; i < l->part_count; i++)
        ptq_tensor_free(l->parts[i]);
    ptq_linear_free(l->linear);
    ptq_qtensor_free(l->q);
    ptq_stats_free(l->stats);
    ptq_tensor_free(l->weight);
    ptq_tensor_free(l->input);
    ptq_tensor_free(l->test);
    ptq_store_free(l->in);
    ptq_config_free(l->config);
    ptq_context_free(l->context);
}

int command_layer(int argc, char **argv)
{
    struct options o;
    struct layer l = {.test_error = -1};
    int64_t rows = 0;
    int rc = options_parse(&o, "layer", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 1 || !option_given(&o, "weight") || !option_given(&o, "input"))
        return usage_error(&o, "needs a file, --weight and --input");
    rc = option_integer(&o, "output-rows", 0, 1 << 30, &rows);
    if (!rc)
        rc = options_context(&o, &l.context);
    if (!rc)
        rc = options_config(&o, l.context, &l.config);
    if (!rc) {
        ptq_status status = run(&l, &o, rows);
        rc = status ? report_failure(status) : 0;
    }
    finish(&l);
    return rc;
}
