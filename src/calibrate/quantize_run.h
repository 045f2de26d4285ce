/*
 * Quantizes a whole model, block by block, into a directory. ptq quantize does this once, ptq
 * compare many times.
 */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include "base/json.h"
#include "calibrate/calibrate.h"
#include "gguf/gguf_forms.h"

struct quantize_run {
    ptq_context *context;
    struct model *model;           /* in full precision */
    const struct windows *windows; /* calibration; NULL: none */
    ptq_config *config;
    const struct matrix_configs *configs; /* of matrices that differ; or NULL */
    int fold;                       /* FOLD_...: equalizations, into preceding norms and matrices */
    int token_weights;              /* TOKENS_... */
    const char *path;               /* the directory to create */
    int resume;                     /* continue from PATH.partial */
    int32_t format;                 /* PTQ_FORMAT_... of the result; 0: ptq */
    int64_t shard_size;             /* bytes of its files; 0: one file */
    const char *type;               /* GGUF: of most matrices, "Q4_K"; else NULL */
    struct gguf_token_types tokens; /* of a GGUF file */
    int keep_run;                   /* leave run.json in PATH, for quantize_check_same */
    struct progress *progress;

    struct matrix_report *reports; /* set by quantize_model */
    int64_t report_count, resumed; /* resumed: blocks finished by an earlier run */
    int64_t bytes;                 /* size of model.safetensors */
    int damaged;                   /* a finished block cannot be read */
    struct output *output;
    struct calibration *calibration;
};

/* Converts between TOKENS_... and names, -1 for an unknown name. */
int token_weights_from_name(const char *name);
int quantize_needs_calibration(const ptq_config *config);

/* What to calibrate on. */
struct calibration_request {
    const char *text; /* a file; "random": ids from the seed; NULL: nothing */
    int64_t samples, seqlen, seed;
};

/* Loads the requested windows, no longer than the model can take. */
ptq_status quantize_load_calibration(const struct model *model,
                                     const struct calibration_request *request,
                                     struct windows *windows);
/* Refuses a model that is quantized. */
ptq_status quantize_check_plain(const struct model *model);
/* Checks the whole model before the work begins: a missing tensor or a NaN in the last block should
 * not waste the time spent on all others. */
ptq_status quantize_check_model(const struct model *model, struct progress *progress);
ptq_status quantize_model(struct quantize_run *q);
/* PTQ_OK unless PATH or PATH.partial exists and belongs to another run. */
ptq_status quantize_check_same(const struct quantize_run *q);
/* Instead of quantize_model: reads the reports and the size of the model that it made before. */
ptq_status quantize_recall(struct quantize_run *q, const struct model *made);
/* Frees what quantize_model made. keep: after a failure, keep finished blocks for a resume. Returns
 * the number kept. */
int64_t quantize_free(struct quantize_run *q, int keep);
/* All settings that the result depends on. */
void quantize_add_settings(const struct quantize_run *q, struct ptqi_json_writer *w);

#endif
