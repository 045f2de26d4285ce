/*
 * What the fuzz targets share. A target is a file fuzz_NAME.c with a function for one input, which
 * libFuzzer calls; without libFuzzer, replay.c calls it for each file of a corpus.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include "ptq/ptq.h"

/* Runs one input. libFuzzer and replay.c know it by this name. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A context for all inputs, with one thread. An allocation that is much larger than any input is a
 * finding: sizes that a file claims must be compared with the size of the file first. */
ptq_context *fuzz_context(void);

/* Ends the process if something does not hold that must hold for any input. */
void fuzz_require(int condition, const char *what);
/* Returns whether an operation succeeded. If it failed, there must be a message of one line, which
 * is shown if the environment has FUZZ_VERBOSE. */
int fuzz_succeeded(ptq_status status);

/* An input may consist of several parts, such as two files, with a line "#part#" between them. */
struct fuzz_part {
    const uint8_t *bytes;
    int64_t size;
};
#define FUZZ_BETWEEN "\n#part#\n"
/* Divides an input into count parts; those that are missing are empty, the last one takes the rest.
 */
void fuzz_divide(const uint8_t *bytes, size_t size, struct fuzz_part *parts, int count);

/* The path of a scratch file of this process: in the folder FUZZ_FILES, or /tmp. Each is valid
 * until the end. "": the directory of the files. */
const char *fuzz_path(const char *name);
/* Writes such a file, and returns its path. */
const char *fuzz_write(const char *name, struct fuzz_part contents);

/* Reads all that a store has. */
void fuzz_read_store(const ptq_store *store);
/* Opens a file, reads everything in it, and copies all to a scratch file with a name, which must
 * then have the same contents. */
void fuzz_use_store(const uint8_t *bytes, size_t size, const char *name);

/* Multiplies some rows by a packed linear, and unpacks it. */
void fuzz_run_linear(const ptq_linear *linear);
/* A matrix in an input of a few thousand bytes has far fewer elements. */
#define FUZZ_MOST_ELEMENTS ((int64_t)1 << 22)

/* The logits of three tokens, by a model directory or a GGUF file. */
void fuzz_run_model(const char *path);
/* The ids of a text by the tokenizer of a model or of a tokenizer.json, and their text. */
struct tokenizer;
void fuzz_use_tokenizer(const struct tokenizer *tokenizer, struct fuzz_part text);

#endif
