/*
 * Command-line options.
 */
#include "options.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "checkpoint/inputs.h"
#include "model/model.h"

int usage_error(const struct options *o, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "ptq %s: ", o->command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (ptq %s --help lists all options)\n", o->command);
    return EXIT_USAGE;
}

int report_failure(ptq_status status)
{
    char message[1024];
    ptq_last_message(message, (int64_t)sizeof message);
    fprintf(stderr, "ptq: %s\n", *message ? message : ptq_status_sentence(status));
    return EXIT_FAILED;
}

static int place(const struct options *o, const char *name, size_t length)
{
    for (int i = 0; o->table[i].name; i++)
        if (length && strlen(o->table[i].name) == length && !memcmp(o->table[i].name, name, length))
            return i;
    return -1;
}

/* Whether a config parameter is an option. sym has two separate flags, and clip-except is set site
 * by site. */
static int is_setting(int32_t parameter)
{
    return parameter != PTQ_PARAM_SYMMETRIC && parameter != PTQ_PARAM_CLIP_EXCEPT;
}

/* The index of the config parameter with this name; -1 if there is none or the subcommand has no
 * settings. */
static int setting_place(const struct options *o, const char *name, size_t length)
{
    int with_settings = 0;
    for (int i = 0; o->table[i].name; i++)
        with_settings |= !*o->table[i].name;
    for (int32_t i = 0; with_settings && i < MAX_SETTINGS && ptq_config_parameter(i); i++) {
        const char *setting = ptq_config_parameter_name(ptq_config_parameter(i));
        if (is_setting(ptq_config_parameter(i)) && strlen(setting) == length &&
            !memcmp(setting, name, length))
            return i;
    }
    return -1;
}

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s", strlen(name) == 1 ? "-" : "--", name, value ? " " : "",
             value ? value : "");
    printf("  %-22s %s", left, help);
}

/* Prints the settings, with the names of choices and the defaults, which are those of rtn and apply
 * unless a method's preset differs. */
static void print_settings(void)
{
    ptq_context *context = NULL;
    ptq_config *config = NULL;
    char text[64];
    if (!ptq_context_create(&context))
        ptq_config_create(context, PTQ_METHOD_RTN, &config);

    static const char *const values[] = {
        [PTQ_TYPE_INT] = "N", [PTQ_TYPE_FLOAT] = "F", [PTQ_TYPE_CHOICE] = "NAME"};
    int32_t parameter;
    for (int32_t i = 0; (parameter = ptq_config_parameter(i)); i++) {
        const int32_t type = ptq_config_parameter_type(parameter);
        if (!is_setting(parameter))
            continue;
        print_option(ptq_config_parameter_name(parameter),
                     type == PTQ_TYPE_FLAG ? NULL : values[type],
                     ptq_config_parameter_sentence(parameter));
        for (int32_t j = 0; type == PTQ_TYPE_CHOICE && j < ptq_config_choice_count(parameter); j++)
            printf("%s%s", j ? ", " : ": ",
                   ptq_config_choice_name(parameter, ptq_config_choice_value(parameter, j)));
        if (type != PTQ_TYPE_FLAG && config &&
            ptq_config_print(config, parameter, text, (int64_t)sizeof text))
            printf("; default %s", text);
        printf("\n");
    }
    ptq_config_free(config);
    ptq_context_free(context);
}

static void print_help(const struct option *table, const char *usage)
{
    printf("%s\nOptions:\n", usage);
    for (int i = 0; table[i].name; i++) {
        if (!*table[i].name) {
            print_settings();
            continue;
        }
        print_option(table[i].name, table[i].value, table[i].help);
        for (int32_t j = 0; !strcmp(table[i].name, "method") && ptq_method(j); j++)
            printf("%s\n%27s%s: %s", j ? "" : ":", "", ptq_method_name(ptq_method(j)),
                   ptq_method_sentence(ptq_method(j)));
        printf("\n");
    }
}

/* Stores the value of an option in *to. wanted is the name of its value in the help, NULL for a
 * flag. */
static int take_value(struct options *o, const char *name, const char *wanted, const char *equals,
                      const char **to, int argc, char **argv, int *i)
{
    if (*to)
        return usage_error(o, "%s is given twice", argv[*i]);
    if (!wanted && equals)
        return usage_error(o, "--%s takes no value", name);
    if (!wanted)
        *to = "";
    else if (equals)
        *to = equals + 1;
    else if (*i + 1 < argc)
        *to = argv[++*i];
    else
        return usage_error(o, "--%s needs a value: %s", name, wanted);
    return 0;
}

/* Parses the option at argv[i]; advances *i if its value is a separate argument. */
static int parse_option(struct options *o, int argc, char **argv, int *i)
{
    const char *text = argv[*i] + (argv[*i][1] == '-' ? 2 : 1);
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    int at = place(o, text, length);
    if (at >= 0)
        return take_value(o, o->table[at].name, o->table[at].value, equals, &o->values[at], argc,
                          argv, i);
    at = setting_place(o, text, length);
    if (at < 0)
        return usage_error(o, "there is no option %s", argv[*i]);
    const int32_t parameter = ptq_config_parameter(at);
    return take_value(o, ptq_config_parameter_name(parameter),
                      ptq_config_parameter_type(parameter) == PTQ_TYPE_FLAG ? NULL : "VALUE",
                      equals, &o->settings[at], argc, argv, i);
}

int options_parse(struct options *o, const char *command, const char *usage,
                  const struct option *table, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->command = command;
    o->table = table;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(table, usage);
            return -1;
        }
        if (argv[i][0] == '-' && argv[i][1]) {
            int failed = parse_option(o, argc, argv, &i);
            if (failed)
                return failed;
        } else if (o->positional_count < MAX_POSITIONAL) {
            o->positional[o->positional_count++] = argv[i];
        } else {
            return usage_error(o, "too many arguments: %s", argv[i]);
        }
    }
    return 0;
}

const char *option_text(const struct options *o, const char *name)
{
    int at = place(o, name, strlen(name));
    return at < 0 ? NULL : o->values[at];
}

int option_given(const struct options *o, const char *name)
{
    return option_text(o, name) != NULL;
}

int option_integer(const struct options *o, const char *name, int64_t lowest, int64_t highest,
                   int64_t *value)
{
    const char *text = option_text(o, name);
    char *end;
    if (!text)
        return 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || number < lowest || number > highest)
        return usage_error(o, "--%s must be an integer from %lld to %lld, not \"%s\"", name,
                           (long long)lowest, (long long)highest, text);
    *value = number;
    return 0;
}

int setting_given(const struct options *o, int32_t parameter)
{
    if (parameter == PTQ_PARAM_SYMMETRIC)
        return option_given(o, "sym") || option_given(o, "asym");
    for (int32_t i = 0; ptq_config_parameter(i); i++)
        if (ptq_config_parameter(i) == parameter)
            return o->settings[i] != NULL;
    return 0;
}

int option_bytes(const struct options *o, const char *name, int64_t *value)
{
    static const char units[] = "KMG";
    const char *text = option_text(o, name), *unit;
    char *end;
    if (!text)
        return 0;
    const long long number = strtoll(text, &end, 10);
    int64_t bytes = number;
    int valid = end != text && number > 0;
    if (valid && *end && (unit = strchr(units, *end)) && !end[1]) {
        for (const char *u = units; u <= unit; u++)
            valid &= ptqi_multiply(bytes, 1000, &bytes);
        end++;
    }
    if (!valid || *end)
        return usage_error(o, "--%s must be a number of bytes, such as 5G, not \"%s\"", name, text);
    *value = bytes;
    return 0;
}

static int is_gguf_file(const char *path)
{
    static const char ending[] = ".gguf";
    const size_t length = strlen(path), tail = strlen(ending);
    return length > tail && !strcmp(path + length - tail, ending);
}

/* A GGUF file has an ending, and is not divided. */
static int check_gguf(const struct options *o, const char *out)
{
    if (!is_gguf_file(out))
        return usage_error(o, "--format gguf writes one file: -o must end in .gguf");
    if (option_given(o, "shard-size"))
        return usage_error(o, "--shard-size is not for --format gguf, which writes one file");
    return 0;
}

int options_format(const struct options *o, const char *out, int32_t *format, int64_t *shard_size)
{
    const char *name = option_text(o, "format");
    *format = name                ? ptq_format_from_name(name)
              : is_gguf_file(out) ? PTQ_FORMAT_GGUF
                                  : PTQ_FORMAT_PTQ;
    if (!*format)
        return usage_error(
            o, "--format must be ptq, gptq, awq, compressed-tensors or gguf, not \"%s\"", name);
    if (*format == PTQ_FORMAT_GGUF)
        return check_gguf(o, out);
    if (option_given(o, "head-bits"))
        return usage_error(o, "--head-bits is for --format gguf");
    return option_bytes(o, "shard-size", shard_size);
}

int options_tokens(const struct options *o, struct gguf_token_types *types)
{
    static const char *const names[] = {[4] = "Q4_0", [5] = "Q5_0", [6] = "Q6_K", [8] = "Q8_0"};
    int64_t bits = 0;
    const int failed = option_integer(o, "head-bits", 4, 16, &bits);
    if (failed || !bits)
        return failed;
    if (bits < 16 && (bits > 8 || !names[bits]))
        return usage_error(o, "--head-bits must be 4, 5, 6, 8 or 16");
    types->embedding = types->head = bits == 16 ? NULL : names[bits];
    return 0;
}

int option_real(const struct options *o, const char *name, double lowest, double highest,
                double *value)
{
    const char *text = option_text(o, name);
    char *end;
    if (!text)
        return 0;
    const double number = strtod(text, &end);
    if (end == text || *end || !(number >= lowest && number <= highest))
        return usage_error(o, "--%s must be a number from %g to %g, not \"%s\"", name, lowest,
                           highest, text);
    *value = number;
    return 0;
}

int options_activations(const struct options *o, int32_t *activations)
{
    static const int32_t schemes[] = {PTQ_ACTIVATIONS_F32,         PTQ_ACTIVATIONS_INT8_TOKEN,
                                      PTQ_ACTIVATIONS_INT8_TENSOR, PTQ_ACTIVATIONS_INT16_TOKEN,
                                      PTQ_ACTIVATIONS_INT8_GROUP,  PTQ_ACTIVATIONS_UINT8_TOKEN};
    const char *name = option_text(o, "activations");
    *activations = name ? ACTIVATIONS_OWN : ACTIVATIONS_DEFAULT;
    if (!name || !strcmp(name, "own"))
        return 0;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strcmp(name, ptq_activations_name(schemes[i]))) {
            *activations = schemes[i];
            return 0;
        }
    return usage_error(o,
                       "--activations must be f32, int8-token, int8-tensor, int16-token, "
                       "int8-group, uint8-token or own, not \"%s\"",
                       name);
}

int options_context(const struct options *o, ptq_context **context)
{
    int64_t threads = 0;
    const char *name = option_text(o, "isa");
    const int32_t isa = name ? ptq_isa_from_name(name) : PTQ_AUTO;
    int failed = option_integer(o, "threads", 1, 1024, &threads);
    if (failed)
        return failed;
    if (!isa)
        return usage_error(o, "there is no instruction set \"%s\"", name);
    ptq_status status = ptq_context_create(context);
    if (!status)
        status = ptq_context_set_threads(*context, (int32_t)threads);
    if (!status && name)
        status = ptq_context_set_isa(*context, isa);
    if (!status)
        return 0;
    ptq_context_free(*context);
    *context = NULL;
    return report_failure(status);
}

static ptq_status apply_settings(const struct options *o, ptq_config *config)
{
    ptq_status status = PTQ_OK;
    if (option_given(o, "sym") || option_given(o, "asym"))
        status = ptq_config_parse(config, "sym", option_given(o, "sym") ? "on" : "off");
    for (int32_t i = 0; i < MAX_SETTINGS && !status; i++) {
        const int32_t parameter = ptq_config_parameter(i);
        const int flag = ptq_config_parameter_type(parameter) == PTQ_TYPE_FLAG;
        if (o->settings[i])
            status = ptq_config_parse(config, ptq_config_parameter_name(parameter),
                                      flag ? "on" : o->settings[i]);
    }
    return status ? status : ptq_config_check(config);
}

/* "rtn, gptq or auto" */
static const char *list_methods(void)
{
    static char list[200];
    *list = 0;
    for (int32_t i = 0; ptq_method(i); i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                 i == 0              ? ""
                 : ptq_method(i + 1) ? ", "
                                     : " or ",
                 ptq_method_name(ptq_method(i)));
    return list;
}

int options_config(const struct options *o, ptq_context *context, ptq_config **config)
{
    const char *name = option_text(o, "method");
    int32_t method = ptq_method_from_name(name);
    char message[512];
    if (!name)
        return usage_error(o, "--method is missing: %s", list_methods());
    if (!method)
        return usage_error(o, "there is no method \"%s\": %s", name, list_methods());
    if (option_given(o, "sym") && option_given(o, "asym"))
        return usage_error(o, "--sym and --asym contradict each other");
    ptq_status status = ptq_config_create(context, method, config);
    if (status)
        return report_failure(status);
    status = apply_settings(o, *config);
    if (!status)
        return 0;
    ptq_config_free(*config);
    *config = NULL;
    ptq_last_message(message, (int64_t)sizeof message);
    return usage_error(o, "%s", message);
}

int options_calibration(const struct options *o, struct calibration_request *request)
{
    *request = (struct calibration_request){option_text(o, "calib"), .samples = 128, .seqlen = 512};
    int rc = option_integer(o, "samples", 1, 1 << 20, &request->samples);
    if (!rc)
        rc = option_integer(o, "seqlen", 2, 1 << 20, &request->seqlen);
    return rc ? rc : option_integer(o, "seed", 0, INT64_MAX, &request->seed);
}

ptq_status options_check_output(ptq_context *context, const char *path, const char *const *inputs,
                                int count)
{
    if (!path)
        return PTQ_OK;
    if (!*path)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "the name of the output is empty");
    const char *input = inputs_find(inputs, count, path);
    if (input)
        return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                         "%s: would replace what is read from %s; choose another output", path,
                         input);
    return ptqi_check_writable(context, path);
}

void options_say_windows(const struct options *o, const struct calibration_request *request,
                         const struct windows *windows)
{
    if (windows->count < request->samples && !option_given(o, "json"))
        fprintf(stderr, "ptq: %s gives %lld windows of %lld tokens; all of them are used\n",
                request->text, (long long)windows->count, (long long)windows->length);
}

static ptq_context *interrupted;

static void on_signal(int number)
{
    (void)number;
    ptq_context_cancel(interrupted);
}

void options_catch_signals(ptq_context *context)
{
    static void (*before)(int);
    if (context)
        before = signal(SIGPIPE, SIG_IGN);
    else
        signal(SIGPIPE, before);
    interrupted = context;
    signal(SIGINT, context ? on_signal : SIG_DFL);
    signal(SIGTERM, context ? on_signal : SIG_DFL);
}
