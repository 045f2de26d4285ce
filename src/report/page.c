/*
 * The page of ptq compare --html: the settings, the table, three charts. It is self-contained: the
 * style sheet is inline, the charts are inline SVG, and there is no script.
 */
#include "report/matrix_name.h"
#include "report/page.h"
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "report/page_style.h"

static void put_file_name(struct html *h, const char *path)
{
    char name[256];
    size_t length = path ? strlen(path) : 0, start;
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (start = length; start > 0 && path[start - 1] != '/'; start--)
        ;
    if (start == length || length - start >= sizeof name) { /* "/", or too long: unchanged */
        html_text(h, path);
        return;
    }
    memcpy(name, path + start, length - start);
    name[length - start] = 0;
    html_text(h, name);
}

static void put_windows(struct html *h, int64_t windows, int64_t window)
{
    html_print(h, "%lld window%s of %lld tokens", (long long)windows, windows == 1 ? "" : "s",
               (long long)window);
}

static void put_top(struct html *h, const struct comparison *c)
{
    html_put(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>");
    put_file_name(h, c->model);
    html_put(h, ": quantization compared</title>\n<style>\n");
    for (size_t i = 0; i < sizeof page_style / sizeof *page_style; i++)
        html_put(h, page_style[i]);
    html_put(h, "</style>\n</head>\n<body>\n<header>\n<p class=\"kind\">Quantization compared</p>\n"
                "<h1 class=\"text\">");
    put_file_name(h, c->model);
    html_put(h, "</h1>\n<p>Perplexity on <span class=\"path\">");
    html_text(h, c->text);
    html_put(h, "</span>, ");
    put_windows(h, c->windows, c->window);
    if (c->calibration && c->calibration_windows > 0) {
        html_put(h, ", after calibration on <span class=\"path\">");
        html_text(h, c->calibration);
        html_put(h, "</span>, ");
        put_windows(h, c->calibration_windows, c->calibration_window);
    } else
        html_put(h, ", without calibration");
    html_put(h, ".</p>\n</header>\n");
}

/* The marks of all charts, centred on 0, 0: a circle, a triangle, a square and a diamond. */
static void put_shapes(struct html *h)
{
    html_put(h, "<svg width=\"0\" height=\"0\" class=\"shapes\" aria-hidden=\"true\"><defs>"
                "<circle id=\"m0\" r=\"3.7\"/><path id=\"m1\" d=\"M0-4.6L4.3 3.2H-4.3z\"/>"
                "<path id=\"m2\" d=\"M-3.4-3.4H3.4V3.4H-3.4z\"/>"
                "<path id=\"m3\" d=\"M0-5L5 0L0 5L-5 0z\"/></defs></svg>\n");
}

static double full_precision(const struct comparison *c)
{
    for (int64_t i = 0; i < c->row_count; i++)
        if (!c->rows[i].config)
            return c->rows[i].perplexity;
    return NAN;
}

/* Whether no row with the same bits has a lower perplexity, and there is one to compare with. */
static int is_best(const struct comparison *c, const struct comparison_row *row)
{
    int others = 0;
    if (!row->config || !isfinite(row->perplexity))
        return 0;
    for (int64_t i = 0; i < c->row_count; i++) {
        const struct comparison_row *other = &c->rows[i];
        if (other == row || !other->config || other->weight_bits != row->weight_bits ||
            other->activation_bits != row->activation_bits || !isfinite(other->perplexity))
            continue;
        if (other->perplexity < row->perplexity)
            return 0;
        others++;
    }
    return others > 0;
}

/* Writes a cell. before and after label it if the table is shown as a list, which omits empty
 * cells. */
static void open_cell(struct html *h, int empty, const char *before, const char *after)
{
    html_print(h, "<td class=\"%s\" data-before=\"%s\" data-after=\"%s\">",
               empty ? "more none" : "more", before, after);
    if (empty)
        html_put(h, DASH);
}

static void put_perplexity(struct html *h, const struct comparison *c,
                           const struct comparison_row *row)
{
    double change = 100 * (row->perplexity / full_precision(c) - 1);
    html_put(h, is_best(c, row) ? "<td class=\"perplexity best\">" : "<td class=\"perplexity\">");
    html_fixed(h, row->perplexity, row->perplexity < 1000 ? 2 : 0);
    html_put(h, "</td><td class=\"change\">");
    if (!row->config || !isfinite(change))
        html_put(h, DASH);
    else {
        html_put(h, change < 0 ? "\xe2\x88\x92" : "+");
        html_fixed(h, fabs(change), fabs(change) < 1000 ? 1 : 0);
        html_put(h, "<span class=\"unit\"> %</span>");
    }
    html_put(h, "</td>");
}

static void put_divergence(struct html *h, const struct comparison_row *row)
{
    const int empty = !row->config || !isfinite(row->divergence);
    open_cell(h, empty, "KL ", "");
    if (!empty) {
        html_print(h, "<span title=\"99 %% of tokens: %.3f or less; same first choice: %.1f %%\">",
                   row->divergence_p99, 100 * row->same_first);
        html_fixed(h, row->divergence, 4);
        html_put(h, "</span>");
    }
    html_put(h, "</td>");
}

static void put_time(struct html *h, const struct comparison_row *row)
{
    double seconds = row->seconds;
    int empty = !row->config || !(seconds > 0 && seconds < 1e9);
    long long whole = empty ? 0 : (long long)(seconds + 0.5);
    open_cell(h, empty, "in ", "");
    if (empty)
        ;
    else if (seconds < 99.95)
        html_print(h, "%.1f s", seconds);
    else if (whole < 3600)
        html_print(h, "%lld min %02lld s", whole / 60, whole % 60);
    else
        html_print(h, "%lld h %02lld min", whole / 3600, whole / 60 % 60);
    html_put(h, "</td>");
}

static void put_worst(struct html *h, const struct comparison_row *row)
{
    const struct matrix_report *worst =
        row->reports && row->report_count > 0 ? comparison_worst(row) : NULL;
    int64_t block;
    open_cell(h, !worst, "worst ", "");
    if (worst) {
        int weights = !isfinite(worst->output_error);
        html_put(h, "<span class=\"text\" title=\"");
        html_text(h, worst->name);
        html_put(h, "\">");
        if (matrix_in_block(worst->name, &block)) {
            html_print(h, "%lld.", (long long)block);
            html_text(h, matrix_last_part(worst->name));
        } else
            html_text(h, worst->name);
        html_put(h, "</span> <span class=\"unit\">");
        html_error(h, weights ? worst->weight_error : worst->output_error);
        html_put(h, weights ? " (weights)</span>" : "</span>");
    }
    html_put(h, "</td>");
}

static void put_row(struct html *h, const struct comparison *c, const struct comparison_row *row)
{
    int grouped = row->group > 0, running = row->tokens_per_second > 0;
    html_put(h, row->config ? "<tr><th scope=\"row\" class=\"text\">"
                            : "<tr class=\"full\"><th scope=\"row\" class=\"text\">");
    html_text(h, row->name);
    html_put(h, "</th>");
    open_cell(h, 0, "", " bits");
    html_print(h, "%d/%d</td>", row->weight_bits, row->activation_bits);
    open_cell(h, !grouped && !row->config, grouped ? "group " : "per ", "");
    if (grouped)
        html_print(h, "%lld", (long long)row->group);
    else if (row->config)
        html_put(h, "row");
    html_put(h, "</td>");
    put_perplexity(h, c, row);
    put_divergence(h, row);
    open_cell(h, row->bytes <= 0, "", " MB");
    if (row->bytes > 0)
        html_fixed(h, (double)row->bytes / 1e6, 1);
    html_put(h, "</td>");
    put_time(h, row);
    open_cell(h, !running, "", " tokens/s");
    if (running)
        html_fixed(h, row->tokens_per_second, row->tokens_per_second < 10 ? 1 : 0);
    html_put(h, "</td>");
    put_worst(h, row);
    html_put(h, "</tr>\n");
}

static void put_table(struct html *h, const struct comparison *c)
{
    if (c->row_count <= 0) {
        html_put(h, "<p>Nothing was compared.</p>\n");
        return;
    }
    html_put(
        h, "<div class=\"table\">\n<table>\n<thead><tr><th scope=\"col\" class=\"method\">Method"
           "</th><th scope=\"col\" class=\"more\">W/A</th><th scope=\"col\" class=\"more\">"
           "Group</th><th scope=\"col\" class=\"perplexity\">Perplexity</th>"
           "<th scope=\"col\" class=\"change\">Change</th><th scope=\"col\" class=\"more\">KL</th>"
           "<th scope=\"col\" class=\"more\">Size, MB</th><th scope=\"col\" "
           "class=\"more\">Quantized in</th>"
           "<th scope=\"col\" class=\"more\">Tokens/s</th>"
           "<th scope=\"col\" class=\"more\">Worst layer, its error</th></tr></thead>\n"
           "<tbody>\n");
    for (int pass = 0; pass < 2; pass++) /* full precision first */
        for (int64_t i = 0; i < c->row_count; i++)
            if (!c->rows[i].config == !pass)
                put_row(h, c, &c->rows[i]);
    html_put(
        h,
        "</tbody>\n</table>\n</div>\n<p class=\"note\">W/A: bits of weights and activations. "
        "Change: of perplexity against full precision. KL: mean divergence of the predictions from "
        "those in full precision, in nats. Bold: the lowest perplexity with these "
        "bits. Worst layer: the matrix that loses most of its output, " OUTPUT_ERROR ".</p>\n");
}

ptq_status comparison_write_page(const struct comparison *c, const char *path)
{
    struct html h;
    html_begin(&h, c->context);
    put_top(&h, c);
    put_shapes(&h);
    html_put(&h, "<main>\n");
    put_table(&h, c);
    page_ranges(&h, c);
    page_errors(&h, c);
    page_choices(&h, c);
    page_sizes(&h, c);
    html_put(&h, "</main>\n</body>\n</html>\n");
    ptq_status status = h.status;
    if (!status)
        status = ptqi_write_file(c->context, path, h.text, h.length);
    html_end(&h);
    return status;
}
