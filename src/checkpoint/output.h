/*
 * The directory that ptq quantize writes. During the work it is "<OUT>.partial" (workdir.h), with a
 * file for every finished block. At the end all tensors go into one model.safetensors, and the
 * directory is renamed to OUT. Or they go into one GGUF file, which is moved to OUT.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/workdir.h"

struct output {
    ptq_context *context;
    const struct checkpoint *source;
    struct workdir *workdir;
    int64_t blocks, finished; /* finished: leading blocks that have files */
    int64_t shard_size;       /* bytes of a file of the result; 0: unlimited */
    int foreign;              /* the result is not in the ptq format */
    const char *ending;       /* of the files of converted blocks */
};

/* Metadata of a block's file that describes the run, not the model. */
#define OUTPUT_RUN_KEY "choices"
/* Metadata of the model: the version of the algorithms that quantized it; and in run.json and
 * config.json. */
#define OUTPUT_ALGORITHM_KEY "algorithm_version"
#define OUTPUT_FILE "model.gguf"

/* Checks before any work what could go wrong at the beginning or at the end; writes nothing. inputs
 * are all files that are read, including source. */
ptq_status output_check(const struct checkpoint *source, const char *const *inputs, int count,
                        const char *path, int resume);
/* Creates the partial directory, or, with resume, finds the finished blocks. description, JSON,
 * identifies the run. OUT itself must not exist. */
ptq_status output_begin(const struct checkpoint *source, const char *path, const char *description,
                        int resume, int64_t blocks, struct output **output);

/* The file of a block, while it is being written. */
struct part {
    ptq_store *store;
    ptq_tensor **tensors; /* that it holds until it is written */
    int64_t count, capacity;
};

/* Begins the file of a block with all its tensors that are not rewritten. Always call part_free.
 * part_replace instead begins a file that replaces the finished one, empty. Block o->blocks stands
 * for the tensors outside blocks that are rewritten, and has only such a file. */
ptq_status part_replace(const struct output *o, int64_t block, struct part *part);
ptq_status part_create(const struct output *o, int64_t block, struct part *part);
/* Adds values [rows][columns] (columns 0: [rows]) in a dtype that represents them exactly. */
ptq_status part_add(const struct output *o, struct part *part, const char *name, int32_t dtype,
                    const float *values, int64_t rows, int64_t columns);
void part_free(const struct output *o, struct part *part);
/* Opens the file of a finished block; and the one that replaced it, if there is one. */
ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part);
ptq_status output_open_result(const struct output *o, int64_t block, ptq_store **part);
/* The path of a file of the result, while it is being made; allocated. */
char *output_file(const struct output *o, const char *name);

/* Writes a file of the result. */
ptq_status output_write(const struct output *o, const char *name, const char *text);
/* Assembles the result; config is the text of config.json. keep_run: leave run.json in OUT. *bytes
 * is the size of the model. */
ptq_status output_finish(struct output *o, const char *config, int keep_run, int64_t *bytes);
/* Instead: the result is the file OUTPUT_FILE alone. */
ptq_status output_finish_file(struct output *o);
/* The size of the model in a directory that output_finish made. */
int64_t output_bytes(const struct checkpoint *made);
/* Removes a directory that output_finish made, with the files that it wrote there. */
void output_remove(ptq_context *context, const char *path);
/* Ends the work. keep: leave finished blocks for --resume, if there are any. Returns their
 * number. */
int64_t output_free(struct output *o, int keep);

#endif
