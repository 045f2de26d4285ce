/*
 * A checkpoint format as the target of a conversion: what all matrices must have in common, the
 * quantization config that says it, and writing them.
 */
#ifndef TARGET_H
#define TARGET_H

#include "base/json.h"
#include "checkpoint/output.h"
#include "gguf/gguf_forms.h"
#include "model/model.h"

struct target {
    const struct model *model;
    int32_t format;                 /* PTQ_FORMAT_... */
    struct gguf_token_types tokens; /* of a GGUF file */
    char *config;                   /* JSON; NULL: the format needs none */
    int from_source;                /* config is that of the tool that made the checkpoint first */
    /* What is known of the matrices after target_examine. */
    ptq_qtensor *example; /* one with zero points, if any has them */
    char example_name[MAX_LAYER_NAME];
    int64_t quantized, plain; /* numbers of matrices */
    char **plain_names;
    int64_t plain_capacity;
};

/*
 * Looks at every matrix of the block in a store (the model's, or the file of the block), before
 * anything is written: whether the format can hold it, and whether it goes with the others. The
 * message of a failure says what to do instead.
 */
ptq_status target_examine(struct target *t, const ptq_store *from, int64_t block);
/* After all blocks were examined: makes the quantization config, or takes that of the source. */
ptq_status target_describe(struct target *t);
/* Says what the files that replace those of blocks are. */
void target_begin(const struct target *t, struct output *o);
/* Writes the file that replaces the one of a block in the result. */
ptq_status target_convert_block(const struct target *t, const ptq_store *from, int64_t block,
                                const struct output *o);
/* The same for an embedding and a head that are quantized in the source. */
ptq_status target_convert_outside(const struct target *t, const struct output *o);
/* Assembles the result, as output_finish does, with all files that readers of the format want. */
ptq_status target_finish(const struct target *t, struct output *o, int keep_run, int64_t *bytes);
void target_free(struct target *t);

#endif
