/*
 * The JSON reader and writer: valid and invalid texts, numbers to the last bit, every prefix of a
 * document, corrupted bytes, out of memory.
 */
#include "test.h"
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"

void test_json(void);

/* Parses a copy at the end of an allocation, so that reads past the end are detected. */
static ptq_status parse(ptq_context *context, const char *text, int64_t length,
                        struct ptqi_json_document **document, const struct ptqi_json **root)
{
    static char nothing;
    char *copy = length ? malloc((size_t)length) : &nothing;
    memcpy(copy, text, (size_t)length);
    ptq_status status = ptqi_json_parse(context, copy, length, "a.json", document, root);
    if (length)
        free(copy); /* the tree must not refer to the text */
    return status;
}

static int is_valid(const char *text, int64_t length)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    ptq_status status = parse(test_context(), text, length, &document, &root);
    CHECK(status == PTQ_OK || status == PTQ_ERROR_FORMAT);
    CHECK((status == PTQ_OK) == (document != NULL) && (document != NULL) == (root != NULL));
    ptqi_json_free(document);
    return status == PTQ_OK;
}

static void test_valid(void)
{
    static const char *const texts[] = {
        "null",
        " true ",
        "\tfalse\r\n",
        "0",
        "-0",
        "0.5",
        "-1.25e+3",
        "1E5",
        "1e-5",
        "123456789",
        "\"\"",
        "\"a\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0041\\u00e9\\u20AC\"",
        "\"\\ud834\\udd1e\"",
        "\"\\u0000\"",
        "\"\x7f\"",
        "\"\xc2\x80\xdf\xbf\"",
        "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2 , 3]",
        "[[],[[]],{}]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"\":1}",
        "{\"a\" : {\"a\" : [ {\"a\":null} ] } , \"b\":[]}",
        "{\"a\":1,\"A\":2,\"a \":3}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!CHECK(is_valid(texts[i], (int64_t)strlen(texts[i]))))
            printf("    %s\n", texts[i]);
}

static const char *const invalid_texts[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "NULL",
    "nan",
    "NaN",
    "Infinity",
    "-Infinity",
    "inf",
    /* numbers */
    "01",
    "-01",
    "+1",
    "1.",
    ".5",
    "-",
    "-.5",
    "1e",
    "1e+",
    "1.e5",
    "0x10",
    "1_000",
    "1e5.5",
    "- 1",
    "1 2",
    "1e400",
    "-1e400",
    "00",
    "--1",
    "1f",
    "0e",
    /* strings */
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"a\nb\"",
    "\"\t\"",
    "'a'",
    "\"\\ud834\"",
    "\"\\ud834x\"",
    "\"\\udd1e\"",
    "\"\\ud834\\u0041\"",
    "\"\\ud834\\ud834\"",
    "\"\\udd1e\\ud834\"",
    "\"\\ud834\\\"",
    "\"\\u\"",
    /* UTF-8: lone bytes, truncated, overlong, surrogates, beyond U+10FFFF */
    "\"\x80\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xc3(\"",
    "\"\xe2\x82\"",
    "\"\xf0\x9d\x84\"",
    "\"\xc0\x80\"",
    "\"\xc1\xbf\"",
    "\"\xe0\x80\xaf\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xf0\x80\x80\xaf\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xed\xa0\x80\"",
    "\"\xed\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\xef\xbb\xbfnull",
    /* arrays and objects */
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1}",
    "{",
    "}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{a:1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\":}",
    "{\"a\"}",
    "{[]:1}",
    /* duplicates */
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"b\":2,\"\\u0061\":3}",
    "[{\"x\":{\"\":1,\"\":2}}]",
    /* text after the value */
    "null,",
    "1 1",
    "{}{}",
    "[] x",
    "\"a\"\"b\"",
    "null//",
    "/**/null",
    "{}\x01",
    "1\x0b",
};

static void test_invalid(void)
{
    for (size_t i = 0; i < sizeof invalid_texts / sizeof *invalid_texts; i++)
        if (!CHECK(!is_valid(invalid_texts[i], (int64_t)strlen(invalid_texts[i]))))
            printf("    %s\n", invalid_texts[i]);
    CHECK(!is_valid("1\0", 2) && !is_valid("\"\0\"", 3) && !is_valid("{\"a\0\":1}", 8));
}

static void test_depth(void)
{
    char text[400];
    for (int depth = 1; depth <= 150; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        CHECK_EQ(is_valid(text, 2 * depth), depth <= 64);
        CHECK(!is_valid(text, depth) && !is_valid(text, 2 * depth - 1));
    }
    char *deep = malloc(1000000);
    memset(deep, '[', 1000000);
    CHECK(!is_valid(deep, 1000000));
    free(deep);
}

static uint64_t double_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

/* Numbers read are the nearest double, as with strtod. */
static int number_is(const char *text, double want)
{
    double value;
    return ptqi_parse_number(text, (int64_t)strlen(text), &value) &&
           double_bits(value) == double_bits(want);
}

static void test_numbers(void)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "0.1",
        "0.3",
        "-2.5e-3",
        "1e22",
        "1e23",
        "9007199254740993",
        "123456789012345",
        "1234567890123456789",
        "0.000001",
        "999999999999999e22",
        "999999999999999e-22",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1e-400",
        "0e99999999999",
        "100e-2",
        "0.00000000000000000000000000000000000001e38",
        "1.00000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!CHECK(number_is(texts[i], strtod(texts[i], NULL))))
            printf("    %s\n", texts[i]);
    struct random r = {7};
    int wrong = 0;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        uint64_t u = random_bits(&r);
        double value;
        memcpy(&value, &u, 8);
        if (value - value != 0)
            continue;
        ptqi_format_number(text, sizeof text, value, 17);
        wrong += !number_is(text, value);
        snprintf(text, sizeof text, "%.*e", (int)random_below(&r, 20), value);
        wrong += isfinite(strtod(text, NULL)) && !number_is(text, strtod(text, NULL));
        snprintf(text, sizeof text, "%.*f", (int)random_below(&r, 12), random_uniform(&r) * 1e3);
        wrong += !number_is(text, strtod(text, NULL));
    }
    CHECK_EQ(wrong, 0);
    double value;
    CHECK(!ptqi_parse_number("1 ", 2, &value) && !ptqi_parse_number("", 0, &value) &&
          !ptqi_parse_number(" 1", 2, &value) && !ptqi_parse_number("1x", 2, &value) &&
          !ptqi_parse_number("1e999", 5, &value) && !ptqi_parse_number("1,5", 3, &value));
    CHECK(ptqi_parse_number("12", 1, &value) && value == 1);
}

static const char document_text[] =
    " {\"name\": \"t\\u00e9st \\ud834\\udd1e\", \"numbers\": [0, -1.5e3, 9007199254740992, 0.5],"
    "\"nested\": {\"yes\": true, \"no\": false, \"none\": null, \"empty\": [{}, []]},"
    " \"zero\\u0000in\": \"a\\u0000b\"} ";

static void test_tree(void)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    int64_t integer = 77;
    CHECK_OK(parse(test_context(), document_text, sizeof document_text - 1, &document, &root));
    if (!root)
        return;
    const struct ptqi_json *numbers = ptqi_json_get(root, "numbers"), *n = numbers->first;
    const struct ptqi_json *nested = ptqi_json_get(root, "nested");
    CHECK(root->kind == PTQI_JSON_OBJECT && root->count == 4 && !root->name);
    CHECK(!strcmp(ptqi_json_string(ptqi_json_get(root, "name")), "t\xc3\xa9st \xf0\x9d\x84\x9e"));
    CHECK(numbers->kind == PTQI_JSON_ARRAY && numbers->count == 4 && !n->name);
    CHECK(ptqi_json_integer(n, &integer) && integer == 0);
    n = n->next;
    CHECK(ptqi_json_integer(n, &integer) && integer == -1500);
    n = n->next;
    CHECK(ptqi_json_integer(n, &integer) && integer == (int64_t)1 << 53);
    n = n->next;
    CHECK(!ptqi_json_integer(n, &integer) && n->number == 0.5 && !n->next);
    CHECK(ptqi_json_flag(nested, "yes", 0) == 1 && ptqi_json_flag(nested, "no", 1) == 0 &&
          ptqi_json_flag(nested, "none", 1) == 1 && ptqi_json_flag(nested, "other", 0) == 0);
    CHECK(ptqi_json_get(nested, "none")->kind == PTQI_JSON_NULL);
    CHECK(ptqi_json_get(nested, "empty")->first->kind == PTQI_JSON_OBJECT);
    CHECK(!ptqi_json_get(numbers, "a") && !ptqi_json_get(NULL, "a") && !ptqi_json_get(root, "no"));
    CHECK(!ptqi_json_string(numbers) && !ptqi_json_string(NULL) &&
          !ptqi_json_integer(NULL, &integer));
    const struct ptqi_json *last = nested->next;
    CHECK(last->name_length == 7 && !memcmp(last->name, "zero\0in", 8) && last->length == 3 &&
          !memcmp(last->text, "a\0b", 4) && !last->next);
    ptqi_json_free(document);
    ptqi_json_free(NULL);
}

static void test_prefixes_and_damage(void)
{
    int64_t length = sizeof document_text - 1, valid = 0;
    for (int64_t n = 0; n < length - 1; n++) /* the last byte is a space */
        valid += is_valid(document_text, n);
    CHECK_EQ(valid, 0);
    struct random r = {8};
    char damaged[sizeof document_text];
    for (int i = 0; i < 20000; i++) {
        memcpy(damaged, document_text, sizeof damaged);
        for (int64_t j = random_below(&r, 4); j >= 0; j--)
            damaged[random_below(&r, length)] = (char)random_bits(&r);
        is_valid(damaged, random_below(&r, length) + 1);
    }
}

/* A byte order mark is named: nobody sees it in an editor. */
static void test_byte_order_mark(void)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    char message[200];
    CHECK_STATUS(ptqi_json_parse(test_context(), "\xef\xbb\xbf{}", 5, "file", &document, &root),
                 PTQ_ERROR_FORMAT);
    ptq_last_message(message, sizeof message);
    CHECK(strstr(message, "byte order mark (BOM)") != NULL);
    CHECK(!is_valid("\xef\xbb\xbf", 3) && !is_valid("\xef\xbb", 2));
}

/* Many members: the table of duplicates, and more than one chunk of memory. */
static void test_large(void)
{
    const int count = 20000;
    char *text = malloc((size_t)count * 40 + 10), *out = text;
    *out++ = '{';
    for (int i = 0; i < count; i++)
        out += sprintf(out, "%s\"member %d\":[\"text %d\"]", i ? "," : "", i, i);
    *out = '}';
    CHECK(is_valid(text, out + 1 - text));
    out += sprintf(out, ",\"member 11\":0}");
    CHECK(!is_valid(text, out - text));
    free(text);
}

static void write_all(struct ptqi_json_writer *w)
{
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "text", "quote \" backslash \\ control \x01\n \xc3\xa9");
    ptqi_json_add_integer(w, "least", INT64_MIN);
    ptqi_json_add_number(w, "third", 1.0 / 3, 17);
    ptqi_json_add_number(w, "short", 1.0 / 3, 3);
    ptqi_json_add_number(w, "nan", (double)NAN, 17);
    ptqi_json_add_number(w, "infinite", HUGE_VAL, 17);
    ptqi_json_add_bool(w, "\"key\"", 1);
    ptqi_json_open(w, "list", '[');
    ptqi_json_add_bool(w, NULL, 0);
    ptqi_json_open(w, NULL, '[');
    ptqi_json_close(w, ']');
    ptqi_json_add_integer(w, NULL, 5);
    ptqi_json_close(w, ']');
    ptqi_json_close(w, '}');
}

static void test_writer(void)
{
    struct ptqi_json_writer w, copy;
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    ptqi_json_begin(&w, test_context());
    write_all(&w);
    CHECK_OK(ptqi_json_finish(&w));
    CHECK_EQ((int64_t)strlen(w.text), w.length);
    CHECK(!strcmp(w.text,
                  "{\"text\": \"quote \\\" backslash \\\\ control \\u0001\\u000a \xc3\xa9\", "
                  "\"least\": -9223372036854775808, \"third\": 0.33333333333333331, "
                  "\"short\": 0.333, \"nan\": null, \"infinite\": null, "
                  "\"\\\"key\\\"\": true, \"list\": [false, [], 5]}"));
    CHECK_OK(parse(test_context(), w.text, w.length, &document, &root));
    if (root) {
        CHECK(!strcmp(ptqi_json_string(ptqi_json_get(root, "text")),
                      "quote \" backslash \\ control \x01\n \xc3\xa9"));
        CHECK(ptqi_json_get(root, "third")->number == 1.0 / 3);
        ptqi_json_begin(&copy, test_context());
        ptqi_json_add_value(&copy, NULL, root);
        CHECK_OK(ptqi_json_finish(&copy));
        struct ptqi_json_document *again;
        CHECK_OK(parse(test_context(), copy.text, copy.length, &again, &root));
        CHECK(root && root->count == 8 && ptqi_json_flag(root, "\"key\"", 0));
        ptqi_json_free(again);
        ptqi_json_end(&copy);
    }
    ptqi_json_free(document);
    ptqi_json_end(&w);
}

/* Numbers do not depend on the locale of the process. */
static void test_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE",      "fr_FR",
                                        "es_ES.UTF-8", "it_IT.UTF-8", "ru_RU.UTF-8"};
    char text[64];
    size_t i = 0, count = sizeof names / sizeof *names;
    while (i < count && !setlocale(LC_NUMERIC, names[i]))
        i++;
    if (i == count) {
        test_skip("no locale with a decimal comma is installed");
        return;
    }
    CHECK(number_is("0.5", 0.5) && number_is("1.2345678901234567e-7", 1.2345678901234567e-7));
    CHECK(!number_is("0,5", 0.5));
    CHECK(is_valid("[1.5, 0.12345678901234567]", 26));
    ptqi_format_number(text, sizeof text, -1.5e-10, 17);
    CHECK(!strcmp(text, "-1.5e-10") || number_is(text, -1.5e-10));
    setlocale(LC_NUMERIC, "C");
}

static void test_memory(void)
{
    for (int64_t n = 1, done = 0; !done && CHECK(n < 100); n++) {
        ptq_context *context = test_failing_context(n);
        if (context) {
            struct ptqi_json_document *document;
            const struct ptqi_json *root;
            struct ptqi_json_writer w;
            ptq_status status =
                parse(context, document_text, sizeof document_text - 1, &document, &root);
            CHECK(status == PTQ_OK || (status == PTQ_ERROR_MEMORY && !document && !root));
            ptqi_json_free(document);
            ptqi_json_begin(&w, context);
            write_all(&w);
            ptq_status written = ptqi_json_finish(&w);
            CHECK(written == PTQ_OK || written == PTQ_ERROR_MEMORY);
            ptqi_json_end(&w);
            done = !status && !written;
        }
        test_free_failing(context);
    }
}

void test_json(void)
{
    test_valid();
    test_invalid();
    test_depth();
    test_numbers();
    test_tree();
    test_prefixes_and_damage();
    test_byte_order_mark();
    test_large();
    test_writer();
    test_locale();
    test_memory();
}
