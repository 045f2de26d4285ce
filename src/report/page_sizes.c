/*
 * The chart of perplexity against size, with a name next to every mark.
 *
 * The names are placed for the narrowest page: x positions are fractions of the width, so names
 * that do not overlap there do not overlap on any wider page.
 */
#include <math.h>
#include <stdlib.h>
#include "report/axis.h"
#include "report/page.h"

enum {
    NARROW = 270,  /* length of the x axis in pixels, on a phone 360 pixels wide */
    CHARACTER = 7, /* approximate width of a character of a name */
    NAME_CHARACTERS = 24,
    LINE = 16,    /* the height of a name */
    RADIUS = 7,   /* around a mark, free of names */
    GAP = 11,     /* from a mark to its name */
    LONG_GAP = 20 /* to a name that was moved, which has a line to it */
};

struct mark {
    const struct comparison_row *row;
    double at;    /* 0 .. 1 of the width */
    double x, y;  /* pixels on the narrowest page */
    double width; /* of the name */
    double shift; /* vertical shift of the name */
    int left;     /* the name is left of the mark */
};

struct sizes {
    struct mark *marks;
    int64_t count;
    struct axis x, y;
    int height;
};

static int is_shown(const struct comparison_row *row)
{
    return row->bytes > 0 && row->perplexity > 0 && row->perplexity < 1e30;
}

static int compare_marks(const void *a, const void *b)
{
    const struct mark *p = a, *q = b;
    if (p->y != q->y)
        return p->y < q->y ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

static double gap_of(const struct mark *m)
{
    return fabs(m->shift) > 4 ? LONG_GAP : GAP;
}

static double name_start(const struct mark *m)
{
    return m->left ? m->x - gap_of(m) - m->width : m->x + gap_of(m);
}

/* The cost of overlaps of p's name at its current place; marks[0 .. placed) have names. */
static double cost_of(const struct sizes *s, const struct mark *p, int64_t placed)
{
    double start = name_start(p), end = start + p->width, middle = p->y + p->shift;
    double cost = fabs(p->shift) + (p->left ? 6 : 0);
    if (start < 0 || end > NARROW + 12 || middle < LINE / 2 || middle > s->height - LINE / 2)
        cost += 10000;
    for (int64_t i = 0; i < s->count; i++) {
        const struct mark *q = &s->marks[i];
        if (q != p && q->x + RADIUS > start && q->x - RADIUS < end &&
            fabs(q->y - middle) < RADIUS + LINE / 2)
            cost += 1000;
    }
    for (int64_t i = 0; i < placed; i++) {
        const struct mark *q = &s->marks[i];
        double q_start = name_start(q), q_middle = q->y + q->shift;
        if (q_start < end && q_start + q->width > start && fabs(q_middle - middle) < LINE)
            cost += 1000;
        if (q->left == p->left && q_middle > middle && fabs(q->x - p->x) < LONG_GAP)
            cost += 100; /* the lines would cross */
    }
    return cost;
}

/* Places names from the top down, each on the better side, moved as little as possible to avoid
 * overlap. */
static void place_names(struct sizes *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        struct mark *m = &s->marks[i], best = *m;
        double least = INFINITY;
        for (int left = 0; left < 2; left++)
            for (int shift = -s->height; shift <= s->height; shift += 2) {
                m->left = left;
                m->shift = shift;
                double cost = cost_of(s, m, i);
                if (cost < least) {
                    least = cost;
                    best = *m;
                }
            }
        *m = best;
    }
}

static void find_range(const struct comparison *c, struct sizes *s)
{
    double x_low = INFINITY, x_high = 0, y_low = INFINITY, y_high = 0;
    for (int64_t i = 0; i < c->row_count; i++) {
        const struct comparison_row *row = &c->rows[i];
        if (!is_shown(row))
            continue;
        double size = (double)row->bytes / 1e6;
        x_low = size < x_low ? size : x_low;
        x_high = size > x_high ? size : x_high;
        y_low = row->perplexity < y_low ? row->perplexity : y_low;
        y_high = row->perplexity > y_high ? row->perplexity : y_high;
        s->count++;
    }
    if (s->count < 2)
        return;
    s->x = axis_create(0, 0, x_high, 0.08);
    s->x.low = 0;
    s->y = axis_create(y_high > 3 * y_low, y_low, y_high, 0.09);
    s->height = s->count > 12 ? (int)(26 * s->count) : 320;
    s->height = s->height > 1200 ? 1200 : s->height;
}

static void make_marks(const struct comparison *c, struct sizes *s)
{
    int64_t count = 0;
    for (int64_t i = 0; i < c->row_count; i++) {
        const struct comparison_row *row = &c->rows[i];
        if (!is_shown(row))
            continue;
        struct mark *m = &s->marks[count++];
        *m = (struct mark){.row = row};
        m->at = axis_at(&s->x, (double)row->bytes / 1e6);
        m->x = NARROW * m->at;
        m->y = s->height * (1 - axis_at(&s->y, row->perplexity));
        m->width = CHARACTER * html_text_length(row->name, NAME_CHARACTERS);
    }
    qsort(s->marks, (size_t)s->count, sizeof *s->marks, compare_marks);
}

static void put_axes(struct html *h, const struct sizes *s)
{
    double ticks[AXIS_TICKS];
    int count = axis_ticks(&s->y, ticks);
    for (int i = 0; i < count; i++) {
        double y = s->height * (1 - axis_at(&s->y, ticks[i]));
        html_print(h,
                   "<line class=\"grid\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
                   "<text class=\"end\" x=\"-8\" y=\"%.1f\">",
                   y, y, y + 4);
        axis_print(h, ticks[i]);
        html_put(h, "</text>\n");
    }
    count = axis_ticks(&s->x, ticks);
    for (int i = 0; i < count; i++) {
        double x = 100 * axis_at(&s->x, ticks[i]);
        html_print(h,
                   "<line class=\"tick\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" y2=\"%d\"/>"
                   "<text class=\"middle\" x=\"%.2f%%\" y=\"%d\">",
                   x, x, s->height, s->height + 4, x, s->height + 18);
        axis_print(h, ticks[i]);
        html_put(h, "</text>\n");
    }
    html_print(h,
               "<line class=\"tick\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>"
               "<text class=\"middle\" x=\"50%%\" y=\"%d\">size, MB</text>"
               "<text class=\"axis\" y=\"-14\">perplexity</text>\n",
               s->height, s->height, s->height + 36);
}

/* The mark of full precision, or NULL. */
static const struct mark *full_precision(const struct sizes *s)
{
    for (int64_t i = 0; i < s->count; i++)
        if (!s->marks[i].row->config)
            return &s->marks[i];
    return NULL;
}

/* 0: full precision, 1: 16-bit activations, 2: fewer bits. */
static int sort_of(const struct comparison_row *row)
{
    return !row->config ? 0 : row->activation_bits >= 16 ? 1 : 2;
}

static void put_mark(struct html *h, const struct mark *m)
{
    static const char *const shapes[] = {"m3", "m0", "m2"};
    int sort = sort_of(m->row), side = m->left ? -1 : 1;
    double gap = gap_of(m);
    html_print(h, "<svg class=\"a%d\" x=\"%.2f%%\" y=\"%.1f\" overflow=\"visible\">", sort,
               100 * m->at, m->y);
    if (gap == LONG_GAP)
        html_print(h, "<path class=\"leader\" d=\"M%d 0L%d %.1f\"/>", 6 * side,
                   (LONG_GAP - 3) * side, m->shift);
    html_print(h, "<use href=\"#%s\"/><text class=\"name%s\" x=\"%.0f\" y=\"%.1f\">", shapes[sort],
               m->left ? " end" : "", gap * side, m->shift + 4);
    html_text_short(h, m->row->name, NAME_CHARACTERS);
    html_put(h, "</text><title>");
    html_text(h, m->row->name);
    html_put(h, ": perplexity ");
    html_fixed(h, m->row->perplexity, 2);
    html_print(h, ", %.1f MB</title></svg>\n", (double)m->row->bytes / 1e6);
}

/* Writes the legend of the shapes, if there are two. */
static void put_keys(struct html *h, const struct sizes *s)
{
    int sorts[3] = {0};
    for (int64_t i = 0; i < s->count; i++)
        sorts[sort_of(s->marks[i].row)] = 1;
    if (!sorts[1] || !sorts[2])
        return;
    html_put(h,
             "<div class=\"keys\"><span class=\"a1\"><svg width=\"12\" height=\"12\""
             " aria-hidden=\"true\"><use href=\"#m0\" x=\"6\" y=\"6\"/></svg> activations of 16"
             " bits</span><span class=\"a2\"><svg width=\"12\" height=\"12\" aria-hidden=\"true\">"
             "<use href=\"#m2\" x=\"6\" y=\"6\"/></svg> of 8 bits</span></div>\n");
}

static void put_chart(struct html *h, const struct sizes *s)
{
    const struct mark *full = full_precision(s);
    html_print(h, "<p>Lower is better, further left is smaller%s.</p>\n",
               full ? "; the dashed line is full precision" : "");
    put_keys(h, s);
    html_print(h,
               "<div class=\"plot sizes\" style=\"height:%dpx\">\n<svg class=\"data\" role=\"img\""
               " aria-label=\"Perplexity against size\">\n",
               s->height);
    put_axes(h, s);
    if (full)
        html_print(h, "<line class=\"threshold\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>\n", full->y,
                   full->y);
    for (int64_t i = 0; i < s->count; i++)
        put_mark(h, &s->marks[i]);
    html_put(h, "</svg>\n</div>\n");
}

static void put_missing(struct html *h, const struct comparison *c)
{
    int missing = 0;
    for (int64_t i = 0; i < c->row_count; i++) {
        if (is_shown(&c->rows[i]))
            continue;
        html_put(h, missing++ ? ", " : "<p class=\"note\">Not drawn: ");
        html_text(h, c->rows[i].name);
    }
    if (missing)
        html_put(h, ".</p>\n");
}

void page_sizes(struct html *h, const struct comparison *c)
{
    struct sizes s = {.marks = NULL};
    html_put(h, "<section>\n<h2>Perplexity against size</h2>\n");
    find_range(c, &s);
    if (s.count > 1) {
        s.marks = ptqi_alloc(h->context, s.count, (int64_t)sizeof *s.marks);
        if (!s.marks) {
            h->status = PTQ_ERROR_MEMORY;
            return;
        }
        make_marks(c, &s);
        place_names(&s);
        put_chart(h, &s);
        put_missing(h, c);
        ptqi_free(h->context, s.marks);
    } else
        html_put(h, "<p>Not drawn: it takes two rows whose perplexity and size are known.</p>\n");
    html_put(h, "</section>\n");
}
