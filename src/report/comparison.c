#include "report/comparison.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "report/auto_choices.h"
#include "checkpoint/settings.h"
#include "report/json_report.h"

const struct matrix_report *comparison_worst(const struct comparison_row *row)
{
    const struct matrix_report *worst = NULL;
    int measured = row->report_count && row->reports[0].output_error >= 0; /* else NaN */
    for (int64_t i = 0; i < row->report_count; i++) {
        const struct matrix_report *r = &row->reports[i];
        if (!worst || (measured ? r->output_error > worst->output_error
                                : r->weight_error > worst->weight_error))
            worst = r;
    }
    return worst;
}

void comparison_short_name(const char *name, char *text, size_t capacity)
{
    const char *last = strrchr(name, '.'), *number = strpbrk(name, "0123456789");
    snprintf(text, capacity, "%.*s %.40s", number ? (int)strspn(number, "0123456789") : 0,
             number ? number : "", last ? last + 1 : name);
}

static double change(const struct comparison *c, const struct comparison_row *row)
{
    return row->perplexity / c->rows[0].perplexity - 1;
}

void comparison_print(const struct comparison *c)
{
    printf("%s: perplexity on %s, %lld windows of %lld tokens;\n"
           "calibrated on %s, %lld windows of %lld tokens\n\n",
           c->model, c->text, (long long)c->windows, (long long)c->window, c->calibration,
           (long long)c->calibration_windows, (long long)c->calibration_window);
    printf("%-18s %5s %5s %10s %8s %7s %7s %7s %8s  %s\n", "method", "W/A", "group", "perplexity",
           "change", "KL", "MB", "seconds", "tokens/s", "worst layer, its error");
    for (int64_t i = 0; i < c->row_count; i++) {
        const struct comparison_row *row = &c->rows[i];
        const struct matrix_report *worst = comparison_worst(row);
        char group[16] = "", seconds[16] = "", relative[16] = "", kl[16] = "", name[64];
        if (worst) {
            snprintf(group, sizeof group, row->group ? "%lld" : "row", (long long)row->group);
            snprintf(seconds, sizeof seconds, isfinite(row->seconds) ? "%.1f" : "-", row->seconds);
            snprintf(relative, sizeof relative, "%+.2f %%", 100 * change(c, row));
            snprintf(kl, sizeof kl, "%.4f", row->divergence);
        }
        printf("%-18s %2d/%-2d %5s %10.4f %8s %7s %7.1f %7s %8.0f", row->name, row->weight_bits,
               row->activation_bits, group, row->perplexity, relative, kl, (double)row->bytes / 1e6,
               seconds, row->tokens_per_second);
        if (worst) {
            comparison_short_name(worst->name, name, sizeof name);
            printf("  %s %.2e", name, worst->output_error);
        }
        printf("\n");
    }
    for (int64_t i = 0; i < c->row_count; i++) {
        const struct choices choices = choices_of(c->rows[i].reports, c->rows[i].report_count);
        char beginning[64];
        snprintf(beginning, sizeof beginning, "%s chose:", c->rows[i].name);
        choices_print(&choices, beginning);
    }
}

static void add_row(const struct comparison *c, const struct comparison_row *row,
                    struct ptqi_json_writer *w)
{
    const struct matrix_report *worst = comparison_worst(row);
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "name", row->name);
    ptqi_json_add_text(w, "method",
                       row->config ? ptq_method_name(ptq_config_method(row->config)) : "none");
    ptqi_json_add_integer(w, "bits", row->weight_bits);
    ptqi_json_add_integer(w, "activation_bits", row->activation_bits);
    ptqi_json_add_text(w, "activations", row->config ? row->activations : "f32");
    ptqi_json_add_number(w, "perplexity", row->perplexity, 9);
    ptqi_json_add_number(w, "change", change(c, row), 6);
    ptqi_json_open(w, "kl", '{');
    ptqi_json_add_number(w, "mean", row->divergence, 9);
    ptqi_json_add_number(w, "p99", row->divergence_p99, 9);
    ptqi_json_add_number(w, "same_first_choice", row->same_first, 9);
    ptqi_json_close(w, '}');
    ptqi_json_add_integer(w, "bytes", row->bytes);
    ptqi_json_add_number(w, "seconds", row->seconds, 6);
    ptqi_json_add_number(w, "tokens_per_second", row->tokens_per_second, 6);
    if (worst) {
        ptqi_json_open(w, "settings", '{');
        settings_add(w, row->config);
        ptqi_json_close(w, '}');
        ptqi_json_add_text(w, "worst_matrix", worst->name);
        ptqi_json_add_number(w, "worst_output_error", worst->output_error, 9);
        const struct choices choices = choices_of(row->reports, row->report_count);
        choices_add_json(&choices, w);
    }
    ptqi_json_close(w, '}');
}

ptq_status comparison_print_json(const struct comparison *c)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, c->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_integer(&w, "windows", c->windows);
    ptqi_json_add_integer(&w, "window", c->window);
    ptqi_json_add_integer(&w, "calibration_windows", c->calibration_windows);
    ptqi_json_add_integer(&w, "calibration_window", c->calibration_window);
    ptqi_json_open(&w, "rows", '[');
    for (int64_t i = 0; i < c->row_count; i++)
        add_row(c, &c->rows[i], &w);
    ptqi_json_close(&w, ']');
    ptqi_json_open(&w, "inputs", '[');
    for (int64_t i = 0; i < c->input_count; i++) {
        ptqi_json_open(&w, NULL, '{');
        ptqi_json_add_integer(&w, "block", c->inputs[i].block);
        ptqi_json_add_text(&w, "matrix", c->inputs[i].name);
        ptqi_json_add_number(&w, "absmax", c->inputs[i].absmax, 9);
        ptqi_json_close(&w, '}');
    }
    ptqi_json_close(&w, ']');
    ptqi_json_close(&w, '}');
    return report_print(&w);
}
