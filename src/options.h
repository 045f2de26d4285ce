/*
 * Command-line options: a table per subcommand, with "--name value" or "--name=value", flags, and
 * positional arguments. Errors are reported in one line on stderr and give exit status 2.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "calibrate/quantize_run.h"
#include "ptq/ptq.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct option {
    const char *name;  /* without the dashes; "": the settings of a quantizer */
    const char *value; /* "N", "FILE", ...: name of its value in the help; NULL for a flag */
    const char *help;
};

enum { MAX_OPTIONS = 64, MAX_SETTINGS = 64, MAX_POSITIONAL = 4 };

struct options {
    const char *command; /* "quantize" */
    const struct option *table;
    const char *values[MAX_OPTIONS];    /* by table index; "" for a flag that was given */
    const char *settings[MAX_SETTINGS]; /* by index of the config parameter, likewise */
    const char *positional[MAX_POSITIONAL];
    int positional_count;
};

/* The options common to all subcommands, and those that set up a quantizer, for use in tables. */
#define COMMON_OPTIONS                                                                             \
    {"threads", "N", "threads to use; default: all CPUs. Results do not depend on it"},            \
        {"isa", "NAME", "instruction set, such as portable or avx2. Results do not depend on it"}, \
        {"json", NULL, "print a single JSON object"}, {"help", NULL, "print this text"},           \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }
/* The method, and every config parameter by name, as described by ptq_config. */
#define SETTINGS_OPTIONS                                                                           \
    {"method", "NAME", "how to quantize; a preset of the settings below"},                         \
        {"sym", NULL, "zero point in the middle of the code range"},                               \
        {"asym", NULL, "a zero point for each group"},                                             \
    {                                                                                              \
        "", NULL, NULL                                                                             \
    }

/* How a model is written. */
#define FORMAT_OPTIONS                                                                             \
    {"format", "NAME",                                                                             \
     "ptq, gptq, awq, compressed-tensors or gguf; default gguf if OUT ends in .gguf"},             \
        {"head-bits", "N", "gguf: of the embedding and the head, 4, 5, 6, 8 or 16"},               \
    {                                                                                              \
        "shard-size", "BYTES", "files no larger than this, such as 5G; default: one file"          \
    }
/* What a quantizer is calibrated on. */
#define CALIBRATION_OPTIONS                                                                        \
    {"calib", "TEXT", "calibration text, UTF-8, or .jsonl; \"random\": random tokens instead"},    \
        {"samples", "N", "calibration windows, spread evenly over the text; default 128"},         \
        {"seqlen", "N", "tokens per calibration window; default 512"},                             \
    {                                                                                              \
        "seed", "N", "seed of the random tokens; default 0"                                        \
    }

#define ACTIVATIONS_OPTION                                                                         \
    {                                                                                              \
        "activations", "NAME",                                                                     \
            "activations of quantized matrices: f32, int8-token, int8-tensor,\n"                   \
            "                         int16-token, int8-group, uint8-token, or own: as the "       \
            "model\n"                                                                              \
            "                         says, f32 if it says nothing; default: own, but "            \
            "int8-group\n"                                                                         \
            "                         instead of f32 in the formats of other tools"                \
    }

/* Returns 0, EXIT_USAGE after an error message, or -1 after --help, which prints usage and the list
 * of options. */
int options_parse(struct options *o, const char *command, const char *usage,
                  const struct option *table, int argc, char **argv);
/* The value of an option; NULL if it was not given. */
const char *option_text(const struct options *o, const char *name);
int option_given(const struct options *o, const char *name);
/* Whether a quantizer setting, PTQ_PARAM_..., was given. */
int setting_given(const struct options *o, int32_t parameter);
/* Sets *value if the integer option was given, within lowest .. highest; returns 0 or EXIT_USAGE.
 */
int option_integer(const struct options *o, const char *name, int64_t lowest, int64_t highest,
                   int64_t *value);
/* The same for a number of bytes, at least 1; K, M and G are powers of 1000. */
int option_bytes(const struct options *o, const char *name, int64_t *value);
/* --activations of a model to run: ACTIVATIONS_DEFAULT without it; returns 0 or EXIT_USAGE. */
int options_activations(const struct options *o, int32_t *activations);
/* --format and --shard-size for an output; *format is the ptq format without the first. */
int options_format(const struct options *o, const char *out, int32_t *format, int64_t *shard_size);
/* --head-bits of a GGUF file, if it was given, as the type of the embedding and the head. */
int options_tokens(const struct options *o, struct gguf_token_types *types);
/* The same for a number. */
int option_real(const struct options *o, const char *name, double lowest, double highest,
                double *value);
/* "ptq quantize: <message>" on stderr; returns EXIT_USAGE. */
int usage_error(const struct options *o, const char *format, ...);

/* Creates a context with the common options applied; returns 0 or an exit status. */
int options_context(const struct options *o, ptq_context **context);
/* Creates a config from the quantizer settings; --method is required. */
int options_config(const struct options *o, ptq_context *context, ptq_config **config);
/* Applies --calib and related options to the defaults; returns 0 or EXIT_USAGE. */
int options_calibration(const struct options *o, struct calibration_request *request);
/* Checks before the work begins that a file can be written, and that it is not one of the inputs
 * (files, directories or shard indices), in any spelling. inputs may contain NULL; path may be
 * NULL. */
ptq_status options_check_output(ptq_context *context, const char *path, const char *const *inputs,
                                int count);
/* Reports on stderr if there are fewer windows than requested, but not with --json. */
void options_say_windows(const struct options *o, const struct calibration_request *request,
                         const struct windows *windows);
/* Interrupt and terminate signals cancel the work of context from now on, and a closed output pipe
 * does not end it. NULL restores the default: they kill the process. */
void options_catch_signals(ptq_context *context);
/* Prints "ptq: <last message>" on stderr; returns EXIT_FAILED. */
int report_failure(ptq_status status);

#endif
