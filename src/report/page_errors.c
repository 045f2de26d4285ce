/*
 * The chart of errors: a map for each method, with the matrices of a block as rows, the layers as
 * columns, and the error as colour. All maps share one scale, so worse methods, matrices (rows) and
 * layers (columns) stand out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "report/axis.h"
#include "report/matrix_name.h"
#include "report/page.h"

enum {
    COLOURS = 13, /* in the style sheet: .h0 to .h12 */
    CELL = 14,    /* height of a map row */
    MANY_LAYERS = 100000,
    KIND_CHARACTERS = 16
};

struct errors {
    const struct comparison *c;
    int weights; /* errors are of weights; output errors are unknown */
    int64_t layers;
    const char *kinds[MAX_MATRICES]; /* a matrix within its block: "self_attn.q_proj" */
    int kind_count;
    int per_decade, decades; /* the scale has `decades` decades of per_decade steps */
    int64_t first_step, steps;
};

static double error_of(const struct errors *e, const struct matrix_report *report)
{
    return e->weights ? report->weight_error : report->output_error;
}

static int is_known(double error)
{
    return isfinite(error) && error >= 0;
}

static void add_kind(struct errors *e, const char *name)
{
    int64_t layer = 0;
    const char *kind = matrix_in_block(name, &layer);
    if (!kind || layer >= MANY_LAYERS)
        return;
    if (matrix_kind(e->kinds, e->kind_count, name, &layer) < 0) {
        if (e->kind_count == MAX_MATRICES)
            return;
        e->kinds[e->kind_count++] = kind;
    }
    e->layers = layer >= e->layers ? layer + 1 : e->layers;
}

/* The lower bound of a step: 1, 2, 5, 10, or 1, 3, 10, or powers of ten. */
static double step_value(const struct errors *e, int64_t step)
{
    static const double mantissas[] = {1, 2, 5, 1, 3};
    int64_t decade = step / e->per_decade, part = step % e->per_decade;
    if (part < 0) {
        part += e->per_decade;
        decade--;
    }
    double mantissa = mantissas[e->per_decade == 2 ? 3 + part : part];
    return mantissa * pow(10, (double)(decade * e->decades));
}

static int64_t step_of(const struct errors *e, double error)
{
    int64_t step = (int64_t)floor(log10(error) / e->decades) * e->per_decade;
    while (step_value(e, step + 1) <= error * (1 + 1e-12))
        step++;
    return step;
}

/* Chooses the finest scale that has no more steps than there are colours. */
static void choose_scale(struct errors *e, double low, double high)
{
    static const int per_decade[] = {3, 2, 1};
    low = low < 1e-30 ? 1e-30 : low;
    high = high > 1e30 ? 1e30 : high < low ? low : high;
    for (int choice = 0;; choice++) {
        e->per_decade = choice < 3 ? per_decade[choice] : 1;
        e->decades = choice < 3 ? 1 : choice - 1;
        e->first_step = step_of(e, low);
        e->steps = step_of(e, high) - e->first_step + 1;
        if (e->steps <= COLOURS)
            return;
    }
}

/* Returns 0 if no row has errors of this kind. */
static int errors_measure(struct errors *e)
{
    double low = INFINITY, high = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < e->c->row_count; i++) {
        const struct comparison_row *row = &e->c->rows[i];
        for (int64_t j = 0; row->reports && j < row->report_count; j++) {
            double error = error_of(e, &row->reports[j]);
            if (!is_known(error))
                continue;
            add_kind(e, row->reports[j].name);
            known++;
            low = error > 0 && error < low ? error : low;
            high = error > high ? error : high;
        }
    }
    if (!known || !e->kind_count)
        return 0;
    choose_scale(e, high > 0 ? low : 1e-3, high > 0 ? high : 1e-3);
    return 1;
}

/* If there are few steps, their colours come from the middle and are not the most different ones.
 */
static int colour_of_step(const struct errors *e, int64_t step)
{
    int64_t last = e->steps - 1, ends = COLOURS - 1 - 3 * last;
    step = step < 0 ? 0 : step > last ? last : step;
    return (int)(ends > 0 ? ends / 2 + 3 * step : step * (COLOURS - 1) / last);
}

static int colour_of(const struct errors *e, double error)
{
    double low = step_value(e, e->first_step), high = step_value(e, e->first_step + e->steps);
    if (error < low)
        return colour_of_step(e, 0);
    return colour_of_step(e, error < high ? step_of(e, error) - e->first_step : e->steps);
}

static void put_scale(struct html *h, const struct errors *e)
{
    html_put(h, "<svg class=\"scale\" height=\"34\" aria-hidden=\"true\">\n");
    for (int64_t i = 0; i < e->steps; i++)
        html_print(h, "<rect class=\"h%d\" x=\"%.2f%%\" width=\"%.2f%%\" height=\"12\"/>",
                   colour_of_step(e, i), 100.0 * (double)i / (double)e->steps,
                   100.0 / (double)e->steps);
    for (int64_t i = 0; i <= e->steps; i++) {
        if (e->steps > 6 && (e->per_decade > 1 ? (e->first_step + i) % e->per_decade : i % 2))
            continue;
        html_print(h, "<text class=\"%s\" x=\"%.2f%%\" y=\"27\">",
                   i == 0          ? "start"
                   : i == e->steps ? "end"
                                   : "middle",
                   100.0 * (double)i / (double)e->steps);
        axis_print(h, step_value(e, e->first_step + i));
        html_put(h, "</text>\n");
    }
    html_put(h, "</svg>\n");
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Writes the median and the largest error of a row; returns how many are known. */
static int64_t summarize(struct html *h, const struct errors *e, const struct comparison_row *row,
                         double *median, const struct matrix_report **worst)
{
    double *known = ptqi_alloc(h->context, row->report_count, (int64_t)sizeof *known);
    int64_t count = 0;
    *worst = NULL;
    if (!known) {
        h->status = PTQ_ERROR_MEMORY;
        return 0;
    }
    for (int64_t j = 0; j < row->report_count; j++) {
        double error = error_of(e, &row->reports[j]);
        if (!is_known(error))
            continue;
        known[count++] = error;
        if (!*worst || error > error_of(e, *worst))
            *worst = &row->reports[j];
    }
    qsort(known, (size_t)count, sizeof *known, compare_doubles);
    *median = count ? (known[(count - 1) / 2] + known[count / 2]) / 2 : NAN;
    ptqi_free(h->context, known);
    return count;
}

static void put_caption(struct html *h, const struct errors *e, const struct comparison_row *row,
                        double median, const struct matrix_report *worst)
{
    int64_t layer;
    html_put(h, "<figcaption><b class=\"text\">");
    html_text(h, row->name);
    html_put(h, "</b> <span>median ");
    html_error(h, median);
    html_put(h, ", worst ");
    html_error(h, error_of(e, worst));
    if (matrix_in_block(worst->name, &layer))
        html_print(h, " in layer %lld", (long long)layer);
    html_put(h, "</span></figcaption>\n");
}

static void put_kinds(struct html *h, const struct errors *e)
{
    for (int k = 0; k < e->kind_count; k++) {
        html_print(h, "<text class=\"end\" x=\"-6\" y=\"%d\">", k * CELL + CELL - 4);
        html_text_short(h, matrix_last_part(e->kinds[k]), KIND_CHARACTERS);
        html_put(h, "</text>");
    }
    html_put(h, "\n");
}

/* Writes how a matrix quantizes its input. */
static void put_input(struct html *h, const struct matrix_report *report)
{
    static const char *const names[] = {"", ", int8 per token", ", int8 per call", ", int8 static"};
    if (report->activations >= 0 && report->activations <= PTQ_ACTIVATIONS_INT8_STATIC)
        html_put(h, names[report->activations]);
    if (report->equalized)
        html_put(h, ", equalized");
}

/* Frames the worst matrix. The frame is wider than a very narrow cell, and has a rim because the
 * cell may be as dark as the frame. */
static void put_frame(struct html *h, const struct errors *e, const struct matrix_report *worst)
{
    static const char *const classes[] = {"rim", "worst"};
    int64_t layer = 0;
    int kind = matrix_kind(e->kinds, e->kind_count, worst->name, &layer);
    double width = e->layers > 40 ? (double)e->layers / 40 : 1;
    if (kind < 0 || layer >= e->layers)
        return;
    for (int i = 0; i < 2; i++)
        html_print(h, "<path class=\"%s\" d=\"M%.2f %dh%.2fv1h-%.2fz\"/>\n", classes[i],
                   (double)layer + 0.5 - width / 2, kind, width, width);
}

/* Whether no other matrix of the same kind and layer, which are those of the experts of one block,
 * has a larger error. */
static int is_shown(const struct errors *e, const struct comparison_row *row, int64_t j)
{
    const double error = error_of(e, &row->reports[j]);
    int64_t layer, other;
    const int kind = matrix_kind(e->kinds, e->kind_count, row->reports[j].name, &layer);
    for (int step = -1; step <= 1; step += 2)
        for (int64_t i = j + step; i >= 0 && i < row->report_count; i += step) {
            const char *name = row->reports[i].name;
            const double its = error_of(e, &row->reports[i]);
            if (!matrix_in_block(name, &other) || other != layer)
                break;
            if ((its > error || (step < 0 && its == error)) &&
                matrix_kind(e->kinds, e->kind_count, name, &other) == kind)
                return 0;
        }
    return 1;
}

static void put_cells(struct html *h, const struct errors *e, const struct comparison_row *row,
                      const struct matrix_report *worst)
{
    int64_t layer;
    html_print(h,
               "<svg class=\"%s\" viewBox=\"0 0 %lld %d\" preserveAspectRatio=\"none\""
               " width=\"100%%\" height=\"%d\">\n",
               e->layers > 40 ? "dense" : "cells", (long long)e->layers, e->kind_count,
               e->kind_count * CELL);
    for (int64_t j = 0; j < row->report_count; j++) {
        double error = error_of(e, &row->reports[j]);
        int kind = matrix_kind(e->kinds, e->kind_count, row->reports[j].name, &layer);
        if (!is_known(error) || kind < 0 || layer >= e->layers || !is_shown(e, row, j))
            continue;
        html_print(h, "<path class=\"h%d\" d=\"M%lld %dh1v1h-1z\"><title>layer %lld ",
                   colour_of(e, error), (long long)layer, kind, (long long)layer);
        html_text(h, matrix_in_block(row->reports[j].name, &layer));
        html_put(h, ": ");
        html_error(h, error);
        put_input(h, &row->reports[j]);
        html_put(h, "</title></path>\n");
    }
    put_frame(h, e, worst);
    html_put(h, "</svg>\n");
}

static void put_layers(struct html *h, const struct errors *e)
{
    static const int64_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
    int step = 0;
    while (step < 8 && e->layers / steps[step] > 8)
        step++;
    for (int64_t n = 0; n < e->layers; n += steps[step])
        html_print(h, "<text class=\"middle\" x=\"%.2f%%\" y=\"%d\">%lld</text>",
                   100 * ((double)n + 0.5) / (double)e->layers, e->kind_count * CELL + 14,
                   (long long)n);
    html_put(h, "\n");
}

/* Returns whether anything was drawn. */
static int put_map(struct html *h, const struct errors *e, const struct comparison_row *row)
{
    const struct matrix_report *worst;
    double median;
    if (!row->reports || !summarize(h, e, row, &median, &worst))
        return 0;
    html_put(h, "<figure>\n");
    put_caption(h, e, row, median, worst);
    html_print(h, "<svg class=\"map\" height=\"%d\" role=\"img\" aria-label=\"Errors of ",
               e->kind_count * CELL + 18);
    html_text(h, row->name);
    html_put(h, "\">\n");
    put_kinds(h, e);
    put_cells(h, e, row, worst);
    put_layers(h, e);
    html_put(h, "</svg>\n</figure>\n");
    return 1;
}

/* The width of the longest matrix name. */
static int label_width(const struct errors *e)
{
    int longest = 0;
    for (int k = 0; k < e->kind_count; k++) {
        int length = html_text_length(matrix_last_part(e->kinds[k]), KIND_CHARACTERS);
        longest = length > longest ? length : longest;
    }
    return 10 + longest * 6;
}

/* Names the rows that have reports, but without these errors. */
static void put_missing(struct html *h, const struct errors *e)
{
    int missing = 0;
    for (int64_t i = 0; i < e->c->row_count; i++) {
        const struct comparison_row *row = &e->c->rows[i];
        int known = !row->config;
        for (int64_t j = 0; row->reports && j < row->report_count && !known; j++)
            known = is_known(error_of(e, &row->reports[j]));
        if (known)
            continue;
        html_put(h, missing++ ? ", "
                              : "<p class=\"note\">Not drawn, since its errors are not known: ");
        html_text(h, row->name);
    }
    if (missing)
        html_put(h, ".</p>\n");
}

void page_errors(struct html *h, const struct comparison *c)
{
    struct errors e = {.c = c};
    int known = errors_measure(&e);
    if (!known) {
        e = (struct errors){.c = c, .weights = 1};
        known = errors_measure(&e);
    }
    html_put(h, "<section>\n<h2>Error of each matrix</h2>\n");
    if (!known) {
        html_put(h, "<p>Not drawn: no errors were measured.</p>\n</section>\n");
        return;
    }
    html_put(h, "<p>A map for each method: a column is a layer, a row one of its matrices, and the "
                "colour says ");
    html_put(h, e.weights ? "how much of the weights was lost, " WEIGHT_ERROR
                          : "how much of its output was lost, " OUTPUT_ERROR);
    html_put(h, ", on one logarithmic scale. A frame marks the worst of each map.</p>\n");
    put_scale(h, &e);
    html_print(h, "<div class=\"maps\" style=\"--label:%dpx\">\n", label_width(&e));
    for (int64_t i = 0; i < c->row_count; i++)
        put_map(h, &e, &c->rows[i]);
    html_put(h, "</div>\n");
    put_missing(h, &e);
    html_put(h, "</section>\n");
}
