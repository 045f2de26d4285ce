/*
 * The configuration, by enumeration, so that new parameters are tested too.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void test_config(void);

static const char *const methods[] = {"rtn", "gptq"};

static ptq_config *make(int32_t method)
{
    ptq_config *config = NULL;
    CHECK_OK(ptq_config_create(test_context(), method, &config));
    return config;
}

static void test_methods(void)
{
    ptq_config *config;
    for (int i = 0; i < 2; i++) {
        int32_t method = ptq_method_from_name(methods[i]);
        CHECK(method > 0 && !strcmp(ptq_method_name(method), methods[i]));
        config = make(method);
        CHECK_EQ(ptq_config_method(config), method);
        CHECK_OK(ptq_config_check(config)); /* a preset contradicts nothing */
        ptq_config_free(config);
    }
    CHECK(ptq_method_from_name("") == 0 && ptq_method_from_name("GPTQ") == 0 &&
          ptq_method_from_name("gptq ") == 0 && ptq_method_from_name(NULL) == 0);
    CHECK(ptq_method_name(0) == NULL && ptq_method_name(-1) == NULL &&
          ptq_method_name(999) == NULL);
    CHECK_STATUS(ptq_config_create(test_context(), 0, &config), PTQ_ERROR_UNKNOWN);
    CHECK(config == NULL);
    CHECK_STATUS(ptq_config_create(test_context(), 1, NULL), PTQ_ERROR_ARGUMENT);
    ptq_config_free(NULL);
}

/* Whether a value can be set and then read back; if not, the old value must be kept. */
static int can_set(ptq_config *config, int32_t parameter, double value)
{
    double before, after;
    CHECK_OK(ptq_config_get_float(config, parameter, &before));
    ptq_status status = ptq_config_set_float(config, parameter, value);
    CHECK(status == PTQ_OK || status == PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_config_get_float(config, parameter, &after));
    CHECK(after == (status ? before : value));
    return status == PTQ_OK;
}

/* Printed values must read back as the same value, in another config. */
static void check_print(const ptq_config *config, ptq_config *other, int32_t parameter)
{
    char text[64], again[64];
    double value, read;
    int64_t length = ptq_config_print(config, parameter, text, sizeof text);
    CHECK(length > 0 && length < (int64_t)sizeof text && length == (int64_t)strlen(text));
    CHECK_EQ(ptq_config_print(config, parameter, NULL, 0), length);
    CHECK_OK(ptq_config_parse(other, ptq_config_parameter_name(parameter), text));
    CHECK_OK(ptq_config_get_float(config, parameter, &value));
    CHECK_OK(ptq_config_get_float(other, parameter, &read));
    if (!CHECK(value == read))
        printf("    %s: %.17g was printed as %s\n", ptq_config_parameter_name(parameter), value,
               text);
    ptq_config_print(other, parameter, again, sizeof again);
    CHECK(!strcmp(text, again));
}

static void check_parameter(ptq_config *config, ptq_config *other, int32_t parameter)
{
    double lowest, highest;
    int64_t integer;
    CHECK_OK(ptq_config_bounds(parameter, &lowest, &highest));
    CHECK(lowest < highest);
    check_print(config, other, parameter);
    CHECK(can_set(config, parameter, lowest));
    check_print(config, other, parameter);
    CHECK(can_set(config, parameter, highest));
    check_print(config, other, parameter);
    CHECK(!can_set(config, parameter, nextafter(lowest, -HUGE_VAL)));
    CHECK(!can_set(config, parameter, nextafter(highest, HUGE_VAL)));
    CHECK(!can_set(config, parameter, lowest - 1) && !can_set(config, parameter, highest + 1));
    CHECK(!can_set(config, parameter, (double)NAN) && !can_set(config, parameter, HUGE_VAL) &&
          !can_set(config, parameter, -HUGE_VAL));
    CHECK_STATUS(ptq_config_set_int(config, parameter, INT64_MAX), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_set_int(config, parameter, INT64_MIN), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_parse(config, ptq_config_parameter_name(parameter), ""),
                 PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_parse(config, ptq_config_parameter_name(parameter), "nonsense"),
                 PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_parse(config, ptq_config_parameter_name(parameter), "1 "),
                 PTQ_ERROR_BOUNDS);
    if (ptq_config_get_int(config, parameter, &integer) != PTQ_OK) { /* a float: any number */
        for (int i = 0; i < 3; i++) {
            CHECK(can_set(config, parameter, lowest + (highest - lowest) * i / 3.0));
            check_print(config, other, parameter);
        }
        return;
    }
    CHECK(!can_set(config, parameter, lowest + 0.5));
    for (double v = lowest; v <= highest && v < lowest + 300; v++)
        if (can_set(config, parameter, v)) {
            CHECK_OK(ptq_config_get_int(config, parameter, &integer));
            CHECK((double)integer == v);
            check_print(config, other, parameter);
        }
}

static void test_parameters(void)
{
    int32_t seen = 0;
    for (int m = 0; m < 2; m++) {
        ptq_config *config = make(ptq_method_from_name(methods[m]));
        ptq_config *other = make(ptq_method_from_name(methods[!m]));
        for (int32_t i = 0; ptq_config_parameter(i); i++, seen++) {
            int32_t parameter = ptq_config_parameter(i);
            const char *name = ptq_config_parameter_name(parameter);
            CHECK(name && *name && strlen(ptq_config_parameter_sentence(parameter)) > 5);
            for (int32_t j = 0; j < i; j++)
                CHECK(strcmp(ptq_config_parameter_name(ptq_config_parameter(j)), name) != 0 &&
                      ptq_config_parameter(j) != parameter);
            check_parameter(config, other, parameter);
        }
        ptq_config_free(config);
        ptq_config_free(other);
    }
    CHECK(seen >= 2 * 12);
    CHECK(ptq_config_parameter(-1) == 0 && ptq_config_parameter(INT32_MAX) == 0);
}

/* Every method has a name and a sentence. */
static void test_sentences(void)
{
    for (int32_t i = 0; ptq_method(i); i++) {
        CHECK_EQ(ptq_method_from_name(ptq_method_name(ptq_method(i))), ptq_method(i));
        CHECK(strlen(ptq_method_sentence(ptq_method(i))) > 20);
    }
    CHECK(!ptq_method_name(0) && !ptq_method_sentence(0) && !ptq_method_from_name("none"));
}

/* Bits and groups have gaps. */
static void test_gaps(void)
{
    ptq_config *config = make(PTQ_METHOD_GPTQ);
    for (int bits = 0; bits < 20; bits++)
        CHECK_EQ(can_set(config, PTQ_PARAM_BITS, bits), (bits >= 2 && bits <= 6) || bits == 8);
    for (int group = 0; group < 300; group++)
        CHECK_EQ(can_set(config, PTQ_PARAM_GROUP, group), group % 32 == 0);
    CHECK_STATUS(ptq_config_parse(config, "bits", "7"), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_parse(config, "group", "33"), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_config_parse(config, "group", "-32"), PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_config_parse(config, "group", "96"));
    ptq_config_free(config);
}

static void test_names(void)
{
    static const struct {
        const char *name, *text;
        int32_t parameter;
        double value;
    } cases[] = {
        {"bits", "3", PTQ_PARAM_BITS, 3},
        {"group", "64", PTQ_PARAM_GROUP, 64},
        {"sym", "off", PTQ_PARAM_SYMMETRIC, 0},
        {"sym", "1", PTQ_PARAM_SYMMETRIC, 1},
        {"grid", "awq", PTQ_PARAM_GRID, PTQ_GRID_AWQ},
        {"grid", "gptq", PTQ_PARAM_GRID, PTQ_GRID_GPTQ},
        {"grid", "default", PTQ_PARAM_GRID, PTQ_GRID_DEFAULT},
        {"mse", "on", PTQ_PARAM_MSE, 1},
        {"round", "rtn", PTQ_PARAM_ROUNDING, PTQ_ROUNDING_RTN},
        {"act-order", "on", PTQ_PARAM_ACT_ORDER, 1},
        {"static-groups", "on", PTQ_PARAM_STATIC_GROUPS, 1},
        {"damp", "0.05", PTQ_PARAM_DAMPING, 0.05},
        {"damp", "5e-2", PTQ_PARAM_DAMPING, 0.05},
        {"block", "32", PTQ_PARAM_BLOCK, 32},
        {"scale-dtype", "bf16", PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_BF16},
        {"activations", "int8-token", PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_TOKEN},
    };
    ptq_config *config = make(PTQ_METHOD_GPTQ);
    double value, lowest, highest;
    int64_t integer;
    char text[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(ptq_config_parse(config, cases[i].name, cases[i].text));
        CHECK_OK(ptq_config_get_float(config, cases[i].parameter, &value));
        CHECK(value == cases[i].value);
    }
    CHECK_STATUS(ptq_config_parse(config, "grid", "2"), PTQ_ERROR_BOUNDS); /* names only */
    CHECK_STATUS(ptq_config_parse(config, "grid", "AWQ"), PTQ_ERROR_BOUNDS);
    ptq_last_message(text, sizeof text);
    CHECK(strstr(text, "grid") && strstr(text, "AWQ"));
    CHECK_STATUS(ptq_config_parse(config, "nonsense", "1"), PTQ_ERROR_UNKNOWN);
    ptq_last_message(text, sizeof text);
    CHECK(strstr(text, "nonsense") != NULL);
    CHECK_STATUS(ptq_config_parse(config, "", "1"), PTQ_ERROR_UNKNOWN);
    for (int32_t unknown = -1; unknown <= 1000; unknown += unknown < 0 ? 1 : 1000) {
        CHECK_STATUS(ptq_config_set_int(config, unknown, 1), PTQ_ERROR_UNKNOWN);
        CHECK_STATUS(ptq_config_set_float(config, unknown, 1), PTQ_ERROR_UNKNOWN);
        CHECK_STATUS(ptq_config_get_int(config, unknown, &integer), PTQ_ERROR_UNKNOWN);
        CHECK_STATUS(ptq_config_get_float(config, unknown, &value), PTQ_ERROR_UNKNOWN);
        CHECK_STATUS(ptq_config_bounds(unknown, &lowest, &highest), PTQ_ERROR_UNKNOWN);
        CHECK(!ptq_config_parameter_name(unknown) && !ptq_config_parameter_sentence(unknown));
        CHECK_EQ(ptq_config_print(config, unknown, text, sizeof text), 0);
        CHECK(text[0] == 0);
    }
    CHECK(ptq_config_get_int(config, PTQ_PARAM_DAMPING, &integer) != PTQ_OK);
    ptq_config_free(config);
}

static void test_conflicts(void)
{
    static const struct {
        int32_t method;
        const char *settings[2][2], *named;
    } cases[] = {
        {PTQ_METHOD_RTN, {{"act-order", "on"}, {"bits", "4"}}, "act-order"},
        {PTQ_METHOD_RTN, {{"static-groups", "on"}, {"bits", "4"}}, "static-groups"},
        {PTQ_METHOD_GPTQ, {{"round", "rtn"}, {"act-order", "on"}}, "act-order"},
        {PTQ_METHOD_GPTQ, {{"grid", "awq"}, {"mse", "on"}}, "mse"},
    };
    char message[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ptq_config *config = make(cases[i].method);
        for (int s = 0; s < 2; s++)
            CHECK_OK(ptq_config_parse(config, cases[i].settings[s][0], cases[i].settings[s][1]));
        CHECK_STATUS(ptq_config_check(config), PTQ_ERROR_CONFLICT);
        ptq_last_message(message, sizeof message);
        CHECK(strstr(message, cases[i].named) != NULL);
        ptq_config_free(config);
    }
    ptq_config *config = make(PTQ_METHOD_RTN); /* only a preset: it can become the other */
    CHECK_OK(ptq_config_parse(config, "round", "gptq"));
    CHECK_OK(ptq_config_parse(config, "act-order", "on"));
    CHECK_OK(ptq_config_check(config));
    ptq_config_free(config);
}

/* Everything can be enumerated: each parameter has a type, and each choice a name that reads back.
 */
static void test_walks(void)
{
    ptq_config *config = make(PTQ_METHOD_AUTO), *copy;
    int32_t parameter, flags = 0, method;
    for (int32_t i = 0; (parameter = ptq_config_parameter(i)); i++) {
        const int32_t type = ptq_config_parameter_type(parameter);
        const int32_t count = ptq_config_choice_count(parameter);
        CHECK(type >= PTQ_TYPE_INT && type <= PTQ_TYPE_FLAG);
        CHECK((count > 0) == (type == PTQ_TYPE_CHOICE || type == PTQ_TYPE_FLAG));
        CHECK(type != PTQ_TYPE_FLAG || count == 2);
        flags += type == PTQ_TYPE_FLAG;
        for (int32_t j = 0; j < count; j++) {
            int64_t value = ptq_config_choice_value(parameter, j), got;
            CHECK_OK(ptq_config_parse(config, ptq_config_parameter_name(parameter),
                                      ptq_config_choice_name(parameter, value)));
            CHECK_OK(ptq_config_get_int(config, parameter, &got));
            CHECK_EQ(got, value);
        }
        CHECK_EQ(ptq_config_choice_value(parameter, count), 0);
        CHECK_EQ(ptq_config_choice_value(parameter, -1), 0);
    }
    CHECK_EQ(flags, 4); /* mse, act-order, static-groups, duo */
    CHECK(ptq_config_parameter_type(0) == 0 && ptq_config_choice_count(0) == 0);
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 96));
    CHECK_OK(ptq_config_copy(config, &copy));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 32));
    for (int32_t i = 0; (parameter = ptq_config_parameter(i)); i++) {
        double a, b;
        CHECK_OK(ptq_config_get_float(config, parameter, &a));
        CHECK_OK(ptq_config_get_float(copy, parameter, &b));
        CHECK(parameter == PTQ_PARAM_GROUP ? a == 32 && b == 96 : a == b);
    }
    CHECK_EQ(ptq_config_method(copy), PTQ_METHOD_AUTO);
    ptq_config_free(copy);
    ptq_config_free(config);
    for (int32_t i = 0; (method = ptq_method(i)); i++)
        CHECK_EQ(ptq_method_from_name(ptq_method_name(method)), method);
    CHECK(ptq_method(-1) == 0);
    int32_t isa, usable = 0;
    for (int32_t i = 0; (isa = ptq_isa(i)); i++) {
        CHECK_EQ(ptq_isa_from_name(ptq_isa_name(isa)), isa);
        usable += ptq_isa_usable(isa);
    }
    CHECK(usable >= 1 && ptq_isa(-1) == 0);
    CHECK(ptq_isa_from_name("auto") == PTQ_AUTO && ptq_isa_from_name("sse") == 0);
}

void test_config(void)
{
    test_walks();
    test_methods();
    test_parameters();
    test_sentences();
    test_gaps();
    test_names();
    test_conflicts();
}
