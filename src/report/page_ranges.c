/*
 * The chart of activation ranges: max |x| of every input of a block over the layers, on FPTQ's
 * three bands.
 *
 * It is two overlaid drawings: the bands with their labels and the axis of values, and the marks,
 * which start to the right of the labels and so never cover them.
 */
#include <math.h>
#include "report/axis.h"
#include "report/page.h"

enum { HEIGHT = 340, LABEL_DISTANCE = 17, MANY_LAYERS = 100000 };
enum band { BAND_STATIC, BAND_LAE, BAND_TOKEN, BANDS };

static const char *const site_names[SITES] = {"attention input", "attention output", "MLP input",
                                              "down input"};
static const char *const band_names[BANDS] = {"static", "LAE + static", "per token"};

struct ranges {
    const struct comparison *c;
    struct axis axis;
    int64_t layers;
    int64_t bands[BANDS]; /* number of inputs in each */
};

static enum band band_of(const struct comparison *c, double absmax)
{
    return absmax >= c->v1 ? BAND_TOKEN : absmax > c->v0 ? BAND_LAE : BAND_STATIC;
}

/* Whether an input can be shown on a logarithmic axis. */
static int is_shown(const struct comparison_input *input)
{
    return isfinite(input->absmax) && input->absmax > 0 && input->block >= 0 &&
           input->block < MANY_LAYERS;
}

/* The next input of a site at or after index *i; NULL if there are no more. The inputs of a block
 * are in the order of its sites. */
static const struct comparison_input *next_input(const struct comparison *c, int site, int64_t *i)
{
    while (*i < c->input_count) {
        int64_t at = (*i)++, first = at;
        while (first > 0 && first > at - SITES && c->inputs[first - 1].block == c->inputs[at].block)
            first--;
        if (at - first == site)
            return &c->inputs[at];
    }
    return NULL;
}

static double y_of(const struct ranges *r, double value)
{
    double at = axis_at(&r->axis, value);
    return HEIGHT * (1 - (at < 0 ? 0 : at > 1 ? 1 : at));
}

/* Leaves space for the labels of the outer bands, unless a threshold is so far from the data that
 * these would shrink to a line. */
static int ranges_measure(struct ranges *r)
{
    double low = INFINITY, high = 0;
    for (int64_t i = 0; i < r->c->input_count; i++) {
        const struct comparison_input *input = &r->c->inputs[i];
        if (!is_shown(input))
            continue;
        low = input->absmax < low ? input->absmax : low;
        high = input->absmax > high ? input->absmax : high;
        r->layers = input->block >= r->layers ? input->block + 1 : r->layers;
        r->bands[band_of(r->c, input->absmax)]++;
    }
    if (!(high > 0))
        return 0;
    if (r->c->v0 >= low / 100 && r->c->v0 / 4 < low)
        low = r->c->v0 / 4;
    if (r->c->v1 <= high * 100 && r->c->v1 * 4 > high)
        high = r->c->v1 * 4;
    r->axis = axis_create(1, low, high, 0.03);
    return 1;
}

static void put_keys(struct html *h)
{
    html_put(h, "<div class=\"keys narrow\">");
    for (int s = 0; s < SITES; s++)
        html_print(h,
                   "<span class=\"s%d\"><svg width=\"12\" height=\"12\" aria-hidden=\"true\">"
                   "<use href=\"#m%d\" x=\"6\" y=\"6\"/></svg> %s</span>",
                   s, s, site_names[s]);
    html_put(h, "</div>\n");
}

/* Finds the position of a band; a threshold of 0 is below everything shown. */
static void find_band(const struct ranges *r, enum band band, double *top, double *bottom)
{
    double v0 = y_of(r, r->c->v0 > 0 ? r->c->v0 : r->axis.low);
    double v1 = y_of(r, r->c->v1 > 0 ? r->c->v1 : r->axis.low);
    *top = band == BAND_STATIC ? v0 : band == BAND_LAE ? v1 : 0;
    *bottom = band == BAND_STATIC ? HEIGHT : band == BAND_LAE ? v0 : v1;
}

static void put_band(struct html *h, const struct ranges *r, enum band band)
{
    double top, bottom;
    find_band(r, band, &top, &bottom);
    if (bottom - top < 0.5)
        return;
    html_print(h, "<rect class=\"band%d\" y=\"%.1f\" width=\"100%%\" height=\"%.1f\"/>\n",
               (int)band, top, bottom - top);
    if (band != BAND_TOKEN && top > 0)
        html_print(h, "<line class=\"threshold\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>\n", top,
                   top);
}

/* Writes each name next to the threshold that bounds its band. */
static void put_band_name(struct html *h, const struct ranges *r, enum band band)
{
    static const char *const signs[BANDS] = {"\xe2\x89\xa4 v0", "", "\xe2\x89\xa5 v1"};
    double top, bottom;
    find_band(r, band, &top, &bottom);
    if (bottom - top < (band == BAND_LAE ? 18 : 36))
        return;
    double y = band == BAND_STATIC ? top + 18
               : band == BAND_LAE  ? (top + bottom) / 2 + 4
                                   : bottom - 24;
    html_print(h, "<text class=\"name in%d\" x=\"8\" y=\"%.1f\">%s</text>\n", (int)band, y,
               band_names[band]);
    if (band != BAND_LAE)
        html_print(h, "<text class=\"in%d\" x=\"8\" y=\"%.1f\">%s = %.6g</text>\n", (int)band,
                   y + 15, signs[band], band == BAND_STATIC ? r->c->v0 : r->c->v1);
}

static void put_back(struct html *h, const struct ranges *r)
{
    double ticks[AXIS_TICKS];
    int count = axis_ticks(&r->axis, ticks);
    html_put(h, "<svg class=\"back\" aria-hidden=\"true\">\n");
    for (int b = 0; b < BANDS; b++)
        put_band(h, r, (enum band)b);
    for (int i = 0; i < count; i++) {
        double y = y_of(r, ticks[i]);
        html_print(h,
                   "<line class=\"grid\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
                   "<text class=\"end\" x=\"-8\" y=\"%.1f\">",
                   y, y, y + 4);
        axis_print(h, ticks[i]);
        html_put(h, "</text>\n");
    }
    for (int b = 0; b < BANDS; b++)
        put_band_name(h, r, (enum band)b);
    html_put(h, "<text class=\"axis\" y=\"-14\">max |x|</text></svg>\n");
}

static void put_line(struct html *h, const struct ranges *r, int site)
{
    const struct comparison_input *input;
    int64_t next = 0;
    int drawing = 0;
    html_print(h,
               "<svg viewBox=\"0 0 %lld %d\" preserveAspectRatio=\"none\" width=\"100%%\""
               " height=\"%d\"><path class=\"line\" d=\"",
               (long long)(2 * r->layers), HEIGHT, HEIGHT);
    while ((input = next_input(r->c, site, &next))) {
        if (is_shown(input))
            html_print(h, "%c%lld %.1f", drawing ? 'L' : 'M', (long long)(2 * input->block + 1),
                       y_of(r, input->absmax));
        drawing = is_shown(input);
    }
    html_put(h, "\"/></svg>\n");
}

/* Draws the line and marks of a site; returns the position of its last mark, or -1 if it has none.
 */
static double put_series(struct html *h, const struct ranges *r, int site)
{
    const struct comparison_input *input;
    int64_t next = 0;
    double last = -1;
    html_print(h, "<g class=\"s%d\">\n", site);
    put_line(h, r, site);
    while ((input = next_input(r->c, site, &next))) {
        if (!is_shown(input))
            continue;
        last = y_of(r, input->absmax);
        html_print(
            h, "<use href=\"#m%d\" x=\"%.2f%%\" y=\"%.1f\"><title>layer %lld, %s: %.4g, %s (", site,
            100 * ((double)input->block + 0.5) / (double)r->layers, last, (long long)input->block,
            site_names[site], input->absmax, band_names[band_of(r->c, input->absmax)]);
        html_text(h, input->name);
        html_put(h, ")</title></use>\n");
    }
    html_put(h, "</g>\n");
    return last;
}

/* Writes the names of the series to the right of their last marks, moved apart where those are
 * close. */
static void put_names(struct html *h, const double last[SITES])
{
    int order[SITES], count = 0;
    double y[SITES];
    for (int s = 0; s < SITES; s++)
        if (last[s] >= 0) {
            int at = count++;
            for (; at > 0 && last[order[at - 1]] > last[s]; at--)
                order[at] = order[at - 1];
            order[at] = s;
        }
    for (int i = 0; i < count; i++) {
        y[i] = last[order[i]];
        if (i > 0 && y[i] < y[i - 1] + LABEL_DISTANCE)
            y[i] = y[i - 1] + LABEL_DISTANCE;
    }
    for (int i = count - 1; i >= 0; i--) {
        double limit = i + 1 < count ? y[i + 1] - LABEL_DISTANCE : HEIGHT - 4;
        y[i] = y[i] > limit ? limit : y[i];
    }
    html_put(h, "<svg class=\"wide\" x=\"100%\" overflow=\"visible\">");
    for (int i = 0; i < count; i++)
        html_print(h,
                   "<g class=\"s%d\"><use href=\"#m%d\" x=\"14\" y=\"%.1f\"/>"
                   "<text class=\"name\" x=\"23\" y=\"%.1f\">%s</text></g>\n",
                   order[i], order[i], y[i], y[i] + 4, site_names[order[i]]);
    html_put(h, "</svg>\n");
}

static void put_layers(struct html *h, int64_t layers)
{
    static const int64_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
    int step = 0;
    while (step < 8 && layers / steps[step] > 10)
        step++;
    for (int64_t n = 0; n < layers; n += steps[step])
        html_print(h, "<text class=\"middle\" x=\"%.2f%%\" y=\"%d\">%lld</text>",
                   100 * ((double)n + 0.5) / (double)layers, HEIGHT + 18, (long long)n);
    html_print(h, "\n<text class=\"middle\" x=\"50%%\" y=\"%d\">layer</text>\n", HEIGHT + 36);
}

void page_ranges(struct html *h, const struct comparison *c)
{
    struct ranges r = {.c = c};
    double last[SITES];
    html_put(h, "<section>\n<h2>Activation range of each layer</h2>\n");
    if (!ranges_measure(&r)) {
        html_put(h, "<p>Not drawn: no activations were measured.</p>\n</section>\n");
        return;
    }
    html_print(
        h,
        "<p>Each mark is the largest |x| that one input of a layer takes over the calibration"
        " text, in full precision; the band it lies in is how FPTQ quantizes that input: %lld"
        " static, %lld after logarithmic equalization (LAE), %lld with a scale for each token."
        "</p>\n",
        (long long)r.bands[BAND_STATIC], (long long)r.bands[BAND_LAE],
        (long long)r.bands[BAND_TOKEN]);
    put_keys(h);
    html_print(h, "<div class=\"plot ranges\" style=\"height:%dpx\">\n", HEIGHT);
    put_back(h, &r);
    html_put(h,
             "<svg class=\"data\" role=\"img\" aria-label=\"Activation range of each layer\">\n");
    for (int s = 0; s < SITES; s++)
        last[s] = put_series(h, &r, s);
    put_names(h, last);
    put_layers(h, r.layers);
    html_put(h, "</svg>\n</div>\n</section>\n");
}
