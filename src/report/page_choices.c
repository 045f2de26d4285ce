/*
 * auto's choices: a table for each of its rows, with a line per matrix of a block that counts
 * layers.
 */
#include <math.h>
#include <string.h>
#include "report/auto_choices.h"
#include "report/matrix_name.h"
#include "report/page.h"

struct table {
    const char *kinds[MAX_MATRICES]; /* a matrix within its block: "self_attn.q_proj" */
    struct choices choices[MAX_MATRICES], all;
    int kind_count;
};

static void count(struct table *t, const struct comparison_row *row)
{
    for (int64_t j = 0; row->reports && j < row->report_count; j++) {
        const struct matrix_report *r = &row->reports[j];
        int64_t block;
        const char *kind = matrix_in_block(r->name, &block);
        int k = matrix_kind(t->kinds, t->kind_count, r->name, &block);
        if (!kind || isnan(r->chosen_error) || (k < 0 && t->kind_count == MAX_MATRICES))
            continue;
        if (k < 0)
            t->kinds[k = t->kind_count++] = kind;
        choices_add(&t->choices[k], r);
        choices_add(&t->all, r);
    }
}

static void put_count(struct html *h, int64_t count)
{
    html_put(h, "<td>");
    if (count)
        html_print(h, "%lld", (long long)count);
    else
        html_put(h, DASH);
    html_put(h, "</td>");
}

/* The columns that are not 0 in all lines. */
static void put_head(struct html *h, const struct table *t)
{
    html_put(h, "<thead><tr><th scope=\"col\" class=\"method\">Matrix</th>");
    for (int32_t kind = 0; kind < EQUALIZATIONS; kind++)
        if (t->all.equalize[kind])
            html_print(h, "<th scope=\"col\">%s</th>", choices_equalization(kind));
    for (int i = 1; i < ROTATIONS; i++)
        if (t->all.rotation[i])
            html_print(h, "<th scope=\"col\">rotation %d</th>", choices_rotation(i));
    html_put(h, "<th scope=\"col\">zero points</th><th scope=\"col\">error</th></tr></thead>\n");
}

static void put_line(struct html *h, const struct table *t, const char *name,
                     const struct choices *c)
{
    html_put(h, "<tr><th scope=\"row\" class=\"text\">");
    html_text(h, name);
    html_put(h, "</th>");
    for (int32_t kind = 0; kind < EQUALIZATIONS; kind++)
        if (t->all.equalize[kind])
            put_count(h, c->equalize[kind]);
    for (int i = 1; i < ROTATIONS; i++)
        if (t->all.rotation[i])
            put_count(h, c->rotation[i]);
    put_count(h, c->asymmetric);
    html_put(h, "<td>");
    html_fixed(h, 100 * choices_error(c), 0);
    html_put(h, "<span class=\"unit\"> %</span></td></tr>\n");
}

static void put_table(struct html *h, const struct comparison_row *row)
{
    struct table t = {0};
    count(&t, row);
    if (!t.all.count)
        return;
    html_put(h, "<figure class=\"chosen\">\n<figcaption><b class=\"text\">");
    html_text(h, row->name);
    html_put(h, "</b></figcaption>\n<div class=\"table\">\n<table class=\"choices\">\n");
    put_head(h, &t);
    html_put(h, "<tbody>\n");
    for (int k = 0; k < t.kind_count; k++)
        put_line(h, &t, matrix_last_part(t.kinds[k]), &t.choices[k]);
    put_line(h, &t, "all", &t.all);
    html_put(h, "</tbody>\n</table>\n</div>\n</figure>\n");
}

void page_choices(struct html *h, const struct comparison *c)
{
    int64_t chosen = 0;
    for (int64_t i = 0; i < c->row_count; i++)
        chosen += choices_of(c->rows[i].reports, c->rows[i].report_count).count;
    if (!chosen)
        return;
    html_put(h,
             "<section>\n<h2>What auto chose</h2>\n<p>In how many layers each matrix was given a "
             "scale for its inputs, a rotation, zero points; and its error, as a part of what the "
             "plain matrix loses by the same rounding (the geometric mean over the layers).</p>\n");
    for (int64_t i = 0; i < c->row_count; i++)
        put_table(h, &c->rows[i]);
    html_put(h, "</section>\n");
}
