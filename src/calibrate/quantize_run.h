/*
 * A whole model quantized, block by block, into a directory: what ptq quantize does once and ptq
 * compare many times.
 */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include "base/json.h"
#include "calibrate/calibrate.h"

struct quantize_run {
    ptq_context *context;
    struct model *model;           /* in full precision */
    const struct windows *windows; /* calibration; NULL: without */
    ptq_config *config;
    int fold;          /* equalizations into norms and matrices before */
    int token_weights; /* TOKENS_... */
    const char *path;  /* the directory to make */
    int resume;        /* go on with what is in PATH.partial */
    int keep_run;      /* leave in PATH what tells the run, for quantize_check_same */
    struct progress *progress;

    struct matrix_report *reports; /* set by quantize_model */
    int64_t report_count, resumed; /* resumed: blocks that were there */
    int64_t bytes;                 /* of model.safetensors */
    int damaged;                   /* a block that was there cannot be read */
    struct output *output;
    struct calibration *calibration;
};

/* TOKENS_... by name, -1 for an unknown one; and back. */
int token_weights_from_name(const char *name);
int quantize_needs_calibration(const ptq_config *config);

/* What to calibrate on. */
struct calibration_request {
    const char *text; /* a file; "random": ids by the seed; NULL: nothing */
    int64_t samples, seqlen, seed;
};

/* Windows by a request, no longer than the model can take. */
ptq_status quantize_load_calibration(const struct model *model,
                                     const struct calibration_request *request,
                                     struct windows *windows);
/* All of the model is looked at before the work begins: a missing tensor or a NaN in the last block
 * should not cost the time of all others. */
ptq_status quantize_check_model(const struct model *model, struct progress *progress);
ptq_status quantize_model(struct quantize_run *q);
/* Whether PATH or PATH.partial, where there is one, is of this run. */
ptq_status quantize_check_same(const struct quantize_run *q);
/* In place of quantize_model: the reports and the size of what it made before. */
ptq_status quantize_recall(struct quantize_run *q, const struct model *made);
/* Frees what quantize_model made. keep: after a failure, leave finished blocks for a resume.
 * Returns how many were left. */
int64_t quantize_free(struct quantize_run *q, int keep);
/* All settings that the result depends on. */
void quantize_add_settings(const struct quantize_run *q, struct ptqi_json_writer *w);

#endif
