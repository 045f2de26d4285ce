/*
 * Command-line options: a table per subcommand, "--name value" or "--name=value", flags, positional
 * arguments. A mistake is reported in one line on stderr and is exit status 2.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "calibrate/quantize_run.h"
#include "ptq/ptq.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct option {
    const char *name;  /* without the dashes; "": the settings of a quantizer */
    const char *value; /* "N", "FILE", ...: what the help calls its value; NULL for a flag */
    const char *help;
};

enum { MAX_OPTIONS = 64, MAX_SETTINGS = 64, MAX_POSITIONAL = 4 };

struct options {
    const char *command; /* "quantize" */
    const struct option *table;
    const char *values[MAX_OPTIONS];    /* by place in the table; "" for a flag that was given */
    const char *settings[MAX_SETTINGS]; /* by number of the config's parameter, alike */
    const char *positional[MAX_POSITIONAL];
    int positional_count;
};

/* The options that every subcommand has, and those that set up a quantizer; for use in tables. */
#define COMMON_OPTIONS                                                                             \
    {"threads", "N", "threads to use; default: all CPUs. Results do not depend on it"},            \
        {"isa", "NAME", "instruction set, such as portable or avx2. Results do not depend on it"}, \
        {"json", NULL, "print one JSON object for machines"}, {"help", NULL, "print this text"},   \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }
/* The method, and every parameter of a config by its name, with what ptq_config tells of it. */
#define SETTINGS_OPTIONS                                                                           \
    {"method", "NAME", "how to quantize; a preset of the settings below"},                         \
        {"sym", NULL, "zero in the middle of the codes"},                                          \
        {"asym", NULL, "a zero point for each group"},                                             \
    {                                                                                              \
        "", NULL, NULL                                                                             \
    }

/* What a quantizer is calibrated on. */
#define CALIBRATION_OPTIONS                                                                        \
    {"calib", "TEXT", "calibration text, UTF-8; \"random\": random tokens instead"},               \
        {"samples", "N", "calibration windows, spread evenly over the text; default 128"},         \
        {"seqlen", "N", "tokens of a calibration window; default 512"},                            \
    {                                                                                              \
        "seed", "N", "of the random tokens; default 0"                                             \
    }

/* Returns 0, or the exit status with which to leave: EXIT_USAGE after a message, and -1 after
 * --help, which prints usage, the lines before the list of options. */
int options_parse(struct options *o, const char *command, const char *usage,
                  const struct option *table, int argc, char **argv);
/* The value of an option, NULL where it was not given. */
const char *option_text(const struct options *o, const char *name);
int option_given(const struct options *o, const char *name);
/* Sets *value from an integer option that was given, within lowest .. highest; 0 or EXIT_USAGE. */
int option_integer(const struct options *o, const char *name, int64_t lowest, int64_t highest,
                   int64_t *value);
/* "ptq quantize: <message>" on stderr; returns EXIT_USAGE. */
int usage_error(const struct options *o, const char *format, ...);

/* A context with the common options applied. 0 or an exit status. */
int options_context(const struct options *o, ptq_context **context);
/* A config from the quantizer settings, of which --method must be given. */
int options_config(const struct options *o, ptq_context *context, ptq_config **config);
/* What --calib and its companions say, over the defaults. 0 or EXIT_USAGE. */
int options_calibration(const struct options *o, struct calibration_request *request);
/* That a file can be written should be known before the work begins: it is none of the inputs,
 * which are files, directories or indices of shards, in any spelling, and there is room for it
 * beside what exists. inputs may hold NULL; path may be NULL. */
ptq_status options_check_output(ptq_context *context, const char *path, const char *const *inputs,
                                int count);
/* Where windows are fewer than asked for, says so on stderr, but not with --json. */
void options_say_windows(const struct options *o, const struct calibration_request *request,
                         const struct windows *windows);
/* Interrupt and terminate signals cancel the work of context from now on, and a reader of the
 * output that goes away does not end it; NULL: they kill again. */
void options_catch_signals(ptq_context *context);
/* Prints "ptq: <last message>" on stderr; returns EXIT_FAILED. */
int report_failure(ptq_status status);

#endif
