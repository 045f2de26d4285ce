/*
 * The directory in which a checkpoint is made, "<OUT>.partial", until it takes the name OUT.
 *
 * Its run.json describes the run that it belongs to. The file begins with a mark by which the
 * directory is known as this program's, and is locked while a run works in it. A directory without
 * such a file is somebody else's, whatever its name, and nothing in it is touched.
 */
#ifndef WORKDIR_H
#define WORKDIR_H

#include <stdint.h>
#include "base/json.h"
#include "ptq/context.h"

struct workdir {
    ptq_context *context;
    char *path, *partial; /* OUT without slashes at its end, and OUT.partial */
    int lock;             /* run.json, open; -1: not locked */
    int resumed;          /* goes on with a run that was begun before */
    int finished;         /* has taken the name OUT */
};

/* Whether a file in a working directory has a name that this program gives to one. */
typedef int (*workdir_owns)(const char *name);

/* What could go wrong with OUT, before any work: it exists, or OUT.partial is somebody else's, is
 * one of the inputs or holds a file of one, which may be NULL. Nothing is written. */
ptq_status workdir_check(ptq_context *context, const char *out, const char *const *inputs,
                         int count, int resume);

/* Whether what is in OUT, finished with its run.json kept, or in OUT.partial is of the run of this
 * description, before it is resumed. Nothing there is fine. */
ptq_status workdir_check_same(ptq_context *context, const char *out, const char *description);

/* The beginning of every run.json, which the description of a run must begin with. */
void workdir_begin_description(struct ptqi_json_writer *w, ptq_context *context);

/*
 * Makes or takes over OUT.partial and locks it. With resume, and where a run was begun there, its
 * description must be the same as this one; else what the earlier run left is removed. owns tells
 * which files are this program's.
 */
ptq_status workdir_open(ptq_context *context, const char *out, const char *description, int resume,
                        workdir_owns owns, struct workdir **workdir);
/* A file in it; allocated. */
char *workdir_file(const struct workdir *w, const char *name);
/* Gives the directory its name, then removes its intermediate files and, unless it is to be kept,
 * run.json. */
ptq_status workdir_finish(struct workdir *w, int keep_run, workdir_owns intermediate);
/* Unlocks it. keep: leave it for a resume; else it is removed with what is this program's in it. */
void workdir_close(struct workdir *w, int keep, workdir_owns owns);

/* Removes the files of a directory that owns knows, and the directory, if then empty. */
void workdir_remove(ptq_context *context, const char *path, workdir_owns owns);

#endif
