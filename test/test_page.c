/*
 * The page of a comparison: well-formed for any data, complete and self-contained; and not written
 * at all if memory runs out.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "report/comparison.h"
#include "report/html.h"

void test_page(void);

enum { MAX_ROWS = 4, MAX_LAYERS = 3, BLOCK_MATRICES = 7 };

/* A comparison with everything it points to. */
struct sample {
    struct comparison c;
    struct comparison_row rows[MAX_ROWS];
    struct matrix_report reports[MAX_ROWS][MAX_LAYERS * BLOCK_MATRICES];
    struct comparison_input inputs[MAX_LAYERS * SITES];
};

static const char *const matrices[BLOCK_MATRICES] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
static const char *const row_names[MAX_ROWS] = {"full precision", "RTN W4A16", "GPTQ W4A16",
                                                "FPTQ W4A8"};

static void fill_row(struct sample *s, int number, int layers, ptq_config *config)
{
    struct comparison_row *row = &s->rows[number];
    snprintf(row->name, sizeof row->name, "%s", row_names[number]);
    row->config = number ? config : NULL;
    row->weight_bits = number ? 4 : 16;
    row->activation_bits = number == 3 ? 8 : 16;
    row->group = number == 3 ? 128 : 0;
    row->perplexity = 23.61 + 3 * number;
    row->bytes = number ? 118400000 : 269100000;
    row->seconds = number == 2 ? 4000 : 70 * number;
    row->tokens_per_second = 400 + number;
    if (!number)
        return;
    row->reports = s->reports[number];
    row->report_count = layers * BLOCK_MATRICES;
    for (int i = 0; i < layers * BLOCK_MATRICES; i++) {
        struct matrix_report *r = &row->reports[i];
        snprintf(r->name, sizeof r->name, "model.layers.%d.%s", i / BLOCK_MATRICES,
                 matrices[i % BLOCK_MATRICES]);
        r->weight_error = 0.01;
        r->output_error = 0.001 * (i + 1);
        r->activations = number == 3 ? PTQ_ACTIVATIONS_INT8_STATIC : PTQ_ACTIVATIONS_F32;
        r->equalized = number == 3;
        r->plain_error = r->chosen_error = NAN;
    }
}

static struct sample *make(ptq_config *config, int rows, int layers)
{
    static const int first[SITES] = {0, 3, 4, 6};
    struct sample *s = calloc(1, sizeof *s);
    if (!CHECK(s != NULL))
        exit(1);
    s->c = (struct comparison){.context = test_context(),
                               .model = "models/SmolLM2-135M/",
                               .text = "wiki.test.raw",
                               .calibration = "wiki.train.raw",
                               .windows = 141,
                               .window = 2048,
                               .calibration_windows = 128,
                               .calibration_window = 512,
                               .v0 = 15,
                               .v1 = 150,
                               .rows = s->rows,
                               .row_count = rows,
                               .inputs = s->inputs,
                               .input_count = layers * SITES};
    for (int i = 0; i < rows; i++)
        fill_row(s, i, layers, config);
    for (int i = 0; i < layers * SITES; i++) {
        s->inputs[i].block = i / SITES;
        s->inputs[i].absmax = (i % SITES + 1) * (i % SITES == 3 ? 100 : 6);
        snprintf(s->inputs[i].name, MAX_LAYER_NAME, "model.layers.%d.%s", i / SITES,
                 matrices[first[i % SITES]]);
    }
    return s;
}

/* Reads a tag or the text before one and advances *at; 0 if it is not well-formed. */
static int read_tag(const char **at, const char *stack[], int *depth)
{
    const char *start = *at + 1, *name = start + (*start == '/'), *end = name;
    size_t length = strcspn(name, " />\n");
    int quoted = 0;
    for (; *end && (quoted || *end != '>'); end++) {
        if (*end == '<')
            return 0;
        quoted ^= *end == '"';
    }
    if (!*end || !length)
        return 0;
    *at = end + 1;
    if (*start == '/') {
        const char *open = *depth ? stack[--*depth] : "";
        return !strncmp(open, name, length) && strchr(" >\n", open[length]);
    }
    if (end[-1] != '/' && *start != '!') {
        if (*depth == 32)
            return 0;
        stack[(*depth)++] = name;
    }
    return 1;
}

static int is_entity(const char *at)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (int i = 0; i < 5; i++)
        if (!strncmp(at, entities[i], strlen(entities[i])))
            return 1;
    return 0;
}

/* Whether all tags are closed in order, attributes are quoted, and every & begins an entity. */
static int is_well_formed(const char *page)
{
    const char *stack[32], *at = page;
    int depth = 0, tags = 0;
    for (const char *c = page; *c; c++)
        if (*c == '&' && !is_entity(c))
            return 0;
    for (; *at; at += *at && *at != '<') {
        if (*at != '<')
            continue;
        if (!read_tag(&at, stack, &depth)) {
            printf("    not well-formed: %.60s\n", at);
            return 0;
        }
        tags++;
    }
    return depth == 0 && tags > 20;
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        found++;
    return found;
}

/* Writes the page and checks what holds for every page; the text is valid until the next call. */
static const char *write_page(const struct comparison *c, const char *name)
{
    static char text[1 << 18];
    static const char *const foreign[] = {"http", "<script", "src=", "url(", "@import", "<link"};
    const char *path = test_scratch(name);
    struct ptqi_map map;
    unlink(path);
    text[0] = 0;
    if (!CHECK_OK(comparison_write_page(c, path)) ||
        !CHECK_OK(ptqi_map_file(test_context(), path, &map)))
        return text;
    if (CHECK(map.size < (int64_t)sizeof text)) {
        memcpy(text, map.data, (size_t)map.size);
        text[map.size] = 0;
    }
    CHECK_EQ(strlen(text), map.size);
    ptqi_unmap_file(&map);
    CHECK(is_well_formed(text));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        CHECK(!strstr(text, foreign[i]));
    CHECK(!strstr(text, "nan") && !strstr(text, "inf"));
    return text;
}

static void test_ordinary(ptq_config *config)
{
    struct sample *s = make(config, MAX_ROWS, MAX_LAYERS);
    const char *page = write_page(&s->c, "page.html");
    for (int i = 0; i < MAX_ROWS; i++)
        CHECK(count(page, row_names[i]) >= 2); /* in the table and in a chart */
    CHECK(count(page, "SmolLM2-135M</h1>") == 1 && !strstr(page, "models/SmolLM2-135M/"));
    CHECK(strstr(page, "141 windows of 2048 tokens"));
    CHECK(strstr(page, "128 windows of 512 tokens"));
    CHECK_EQ(count(page, "<h2>"), 3);
    CHECK(!strstr(page, "Not drawn"));
    CHECK_EQ(count(page, "<figure>"), MAX_ROWS - 1);
    CHECK_EQ(count(page, "<title>layer 2 "), 3 * BLOCK_MATRICES);
    CHECK_EQ(count(page, "<title>layer 2, "), SITES);
    CHECK(strstr(page, "6 static, 3 after logarithmic equalization (LAE), 3 with a scale"));
    CHECK(strstr(page, "+12.7<span")); /* 26.61 against 23.61 */
    CHECK(strstr(page, ">1 h 06 min<") && strstr(page, ">70.0 s<"));
    CHECK(strstr(page, "2.down_proj</span> <span class=\"unit\">0.021<"));
    CHECK_EQ(count(page, "perplexity best"), 1); /* of the two W4A16 */
    CHECK(strstr(page, "best\">26.61<"));
    free(s);
}

/* The same data give the same bytes; full precision comes first, wherever it is. */
static void test_order(ptq_config *config)
{
    struct sample *s = make(config, MAX_ROWS, 2);
    const char *page = write_page(&s->c, "page-order.html");
    char *first = ptqi_copy_text(test_context(), page, (int64_t)strlen(page));
    CHECK(first && !strcmp(first, write_page(&s->c, "page-again.html")));
    ptqi_free(test_context(), first);
    struct comparison_row row = s->rows[0];
    s->rows[0] = s->rows[2];
    s->rows[2] = row;
    page = strstr(write_page(&s->c, "page-order.html"), "<tbody>");
    CHECK(page && strstr(page, "full precision") < strstr(page, "RTN"));
    free(s);
}

static void test_hostile(ptq_config *config)
{
    static const char evil[] = "<script>&\"'</style></svg>\x01\xff\xe2\x80\xae";
    struct sample *s = make(config, MAX_ROWS, 1);
    s->c.model = s->c.text = s->c.calibration = evil;
    for (int i = 0; i < MAX_ROWS; i++)
        snprintf(s->rows[i].name, sizeof s->rows[i].name, "%s", evil);
    for (int i = 0; i < BLOCK_MATRICES; i++)
        snprintf(s->reports[1][i].name, MAX_LAYER_NAME, "layers.0.%d%s", i, evil);
    snprintf(s->reports[1][1].name, MAX_LAYER_NAME, "%s", evil);
    snprintf(s->reports[2][0].name, MAX_LAYER_NAME, "h.99999999999999999999999.%s", evil);
    snprintf(s->reports[2][1].name, MAX_LAYER_NAME, "h.77777777.%s", evil);
    snprintf(s->inputs[0].name, MAX_LAYER_NAME, "%s", evil);
    const char *page = write_page(&s->c, "page-hostile.html");
    CHECK_EQ(count(page, "<style>") + count(page, "</style>"), 2);
    CHECK(count(page, "&lt;script&gt;&amp;&quot;&#39;&lt;/style&gt;") > MAX_ROWS);
    CHECK(!strchr(page, 1) && !strchr(page, '\xff') && !strstr(page, "\xe2\x80\xae"));
    s->c.model = "///";
    s->c.text = s->c.calibration = NULL;
    memset(s->rows[1].name, 'W', sizeof s->rows[1].name - 1);
    write_page(&s->c, "page-hostile.html");
    free(s);
}

/* If auto chose, a table counts its choices; names are data there too. */
static void test_choices(ptq_config *config)
{
    struct sample *s = make(config, MAX_ROWS, MAX_LAYERS);
    for (int i = 0; i < MAX_LAYERS * BLOCK_MATRICES; i++) {
        struct matrix_report *r = &s->reports[3][i];
        r->plain_error = 0.004;
        r->chosen_error = i % BLOCK_MATRICES == 6 ? 0.004 : 0.001;
        r->equalize = i % BLOCK_MATRICES == 6 ? PTQ_EQUALIZE_NONE : PTQ_EQUALIZE_AWQ;
        r->rotation = i < BLOCK_MATRICES ? 64 : 0;
        r->symmetric = i != 0;
    }
    const char *page = write_page(&s->c, "page-choices.html");
    CHECK_EQ(count(page, "<h2>What auto chose</h2>"), 1);
    CHECK_EQ(count(page, "<figure class=\"chosen\">"), 1);
    CHECK(strstr(page, "<th scope=\"col\">awq</th><th scope=\"col\">rotation 64</th>"));
    CHECK(!strstr(page, "rotation 128") && !strstr(page, "<th scope=\"col\">lae</th>"));
    CHECK(strstr(page, "q_proj</th><td>" DASH "</td><td>3</td><td>1</td><td>1</td><td>25<span"));
    CHECK(strstr(page, "down_proj</th><td>3</td><td>" DASH "</td><td>1</td><td>" DASH
                       "</td><td>100<span"));
    CHECK(strstr(page, ">all</th><td>3</td><td>18</td><td>7</td><td>1</td><td>30<span"));
    snprintf(s->reports[3][0].name, MAX_LAYER_NAME, "layers.0.<script>");
    CHECK(!strstr(write_page(&s->c, "page-choices.html"), "<script"));
    free(s);
}

static void test_missing_numbers(ptq_config *config)
{
    struct sample *s = make(config, MAX_ROWS, 2);
    for (int i = 0; i < 2 * BLOCK_MATRICES; i++) {
        s->reports[1][i].output_error = NAN;
        s->reports[2][i].output_error = i % 2 ? INFINITY : 0;
    }
    s->rows[1].perplexity = NAN;
    s->rows[2].perplexity = INFINITY;
    s->rows[3].bytes = 0;
    s->rows[3].seconds = s->rows[3].tokens_per_second = NAN;
    s->inputs[1].absmax = NAN;
    s->inputs[5].absmax = INFINITY;
    s->inputs[2].absmax = 0;
    s->inputs[3].block = -1;
    const char *page = write_page(&s->c, "page-missing.html");
    CHECK(strstr(page, "Not drawn, since its errors are not known: RTN W4A16.</p>"));
    CHECK(strstr(page, "Not drawn: it takes two rows"));
    CHECK_EQ(count(page, "<figure>"), 2);
    CHECK(strstr(page, " (weights)"));
    for (int r = 1; r < MAX_ROWS; r++)
        for (int i = 0; i < 2 * BLOCK_MATRICES; i++)
            s->reports[r][i].output_error = NAN;
    s->rows[2].perplexity = 30;
    page = write_page(&s->c, "page-missing.html"); /* all by their weights, then */
    CHECK(strstr(page, "Not drawn: RTN W4A16, FPTQ W4A8.</p>"));
    CHECK_EQ(count(page, "<figure>"), 3);
    CHECK(strstr(page, "how much of the weights was lost"));
    for (int r = 1; r < MAX_ROWS; r++)
        for (int i = 0; i < 2 * BLOCK_MATRICES; i++)
            s->reports[r][i].weight_error = r == 1 ? 0 : NAN;
    page = write_page(&s->c, "page-missing.html");
    CHECK_EQ(count(page, "<figure>"), 1);
    free(s);
}

static void test_nothing(ptq_config *config)
{
    struct sample *s = make(config, 0, 0);
    const char *page = write_page(&s->c, "page-empty.html");
    CHECK(strstr(page, "Nothing was compared") && count(page, "Not drawn") == 3);
    free(s);
    s = make(config, 1, 1); /* full precision alone, of one layer */
    page = write_page(&s->c, "page-empty.html");
    CHECK_EQ(count(page, "Not drawn"), 2); /* no errors, and a single size */
    s->c.calibration = NULL;
    s->c.input_count = 0;
    page = write_page(&s->c, "page-empty.html");
    CHECK(strstr(page, "without calibration") && count(page, "Not drawn") == 3);
    free(s);
}

/* Numbers far from those of real models. */
static void test_extremes(ptq_config *config)
{
    static const double values[] = {1e-300, 1e-30, 1e-7, 1, 150, 1e9, 1e300};
    struct sample *s = make(config, MAX_ROWS, MAX_LAYERS);
    for (int v0 = 0; v0 < 7; v0++)
        for (int v1 = v0; v1 < 7; v1++) {
            s->c.v0 = v0 ? values[v0] : 0;
            s->c.v1 = values[v1];
            for (int i = 0; i < MAX_LAYERS * SITES; i++)
                s->inputs[i].absmax = values[i % (v0 + 1)];
            for (int i = 0; i < MAX_LAYERS * BLOCK_MATRICES; i++)
                s->reports[3][i].output_error = values[(i + v0) % (v1 + 1)];
            s->rows[3].perplexity = values[v1];
            s->rows[2].bytes = v0 == v1 ? INT64_MAX : 1;
            s->rows[1].seconds = values[v1];
            write_page(&s->c, "page-extremes.html");
        }
    free(s);
}

static void test_no_memory(ptq_config *config)
{
    struct sample *s = make(config, MAX_ROWS, MAX_LAYERS);
    const char *path = test_scratch("page-memory.html");
    int64_t n = 1;
    unlink(path);
    for (int done = 0; !done && CHECK(n < 200); n++) {
        ptq_context *context = test_failing_context(n);
        s->c.context = context;
        ptq_status status = context ? comparison_write_page(&s->c, path) : PTQ_ERROR_MEMORY;
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        CHECK_EQ(access(path, F_OK) == 0, status == PTQ_OK);
        done = status == PTQ_OK;
        test_free_failing(context);
    }
    CHECK(n > 10); /* otherwise not every allocation was tested */
    s->c.context = test_context();
    CHECK(comparison_write_page(&s->c, test_scratch("no/such/page.html")) != PTQ_OK);
    free(s);
}

static int escapes_to(const char *text, int characters, const char *expected)
{
    struct html h;
    html_begin(&h, test_context());
    html_text_short(&h, text, characters);
    int equal = !h.status && h.text && !strcmp(h.text, expected);
    html_end(&h);
    return equal;
}

static int prints(double value, const char *expected)
{
    struct html h;
    html_begin(&h, test_context());
    html_error(&h, value);
    int equal = !h.status && !strcmp(h.text, expected);
    html_end(&h);
    return equal;
}

static void test_text_and_numbers(void)
{
    CHECK(escapes_to("a<b", 3, "a&lt;b"));
    CHECK(escapes_to("a<bc", 3, "a&lt;\xe2\x80\xa6"));
    CHECK(escapes_to("\xc3\xa4\xe2\x82\xac", 2, "\xc3\xa4\xe2\x82\xac"));
    CHECK(escapes_to("\xc3\xa4\xe2\x82\xac", 1, "\xe2\x80\xa6"));
    CHECK(escapes_to("\xc3(\xe2\x82", 9, "\xef\xbf\xbd(\xef\xbf\xbd"));
    CHECK(prints(0, "0") && prints(0.00123, "0.0012") && prints(0.5, "0.50"));
    CHECK(prints(12.6, "13") && prints(NAN, DASH) && prints(-INFINITY, DASH));
    CHECK(prints(9.99e-5, "10\xe2\x81\xbb\xe2\x81\xb4"));
    CHECK(prints(5.3e-12, "5.3\xc2\xb7"
                          "10\xe2\x81\xbb\xc2\xb9\xc2\xb2"));
}

void test_page(void)
{
    ptq_config *config;
    if (!CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_RTN, &config)))
        return;
    test_text_and_numbers();
    test_ordinary(config);
    test_order(config);
    test_hostile(config);
    test_choices(config);
    test_missing_numbers(config);
    test_nothing(config);
    test_extremes(config);
    test_no_memory(config);
    ptq_config_free(config);
}
