/*
 * The directory in which a checkpoint is made, "<OUT>.partial", until it is renamed to OUT.
 *
 * Its run.json describes the run that it belongs to. The file begins with a mark that identifies
 * the directory as this program's, and is locked while a run works in it. A directory without this
 * file belongs to somebody else, whatever its name, and nothing in it is touched.
 */
#ifndef WORKDIR_H
#define WORKDIR_H

#include <stdint.h>
#include "base/json.h"
#include "ptq/context.h"

struct workdir {
    ptq_context *context;
    char *path, *partial; /* OUT without trailing slashes, and OUT.partial */
    int lock;             /* run.json, open; -1: not locked */
    int resumed;          /* continues an earlier run */
    int finished;         /* renamed to OUT */
};

/* Whether this program could have given a file in a working directory this name. */
typedef int (*workdir_owns)(const char *name);

/* Checks before any work what could go wrong with OUT: it exists, or OUT.partial belongs to
 * somebody else, is one of the inputs, or contains a file of one. inputs may contain NULL. Writes
 * nothing. */
ptq_status workdir_check(ptq_context *context, const char *out, const char *const *inputs,
                         int count, int resume);

/* Checks, before a run is resumed, that OUT (finished, with its run.json kept) or OUT.partial
 * belongs to the run with this description. Neither has to exist. */
ptq_status workdir_check_same(ptq_context *context, const char *out, const char *description);

/* Writes the beginning of every run.json; the description of a run must begin with it. */
void workdir_begin_description(struct ptqi_json_writer *w, ptq_context *context);

/*
 * Creates or takes over OUT.partial and locks it. With resume, the description of a run begun there
 * must equal this one; without, the remains of the earlier run are removed. owns tells which files
 * are this program's.
 */
ptq_status workdir_open(ptq_context *context, const char *out, const char *description, int resume,
                        workdir_owns owns, struct workdir **workdir);
/* The path of a file in it; allocated. */
char *workdir_file(const struct workdir *w, const char *name);
/* Renames the directory to OUT, then removes its intermediate files and, unless keep_run,
 * run.json. */
ptq_status workdir_finish(struct workdir *w, int keep_run, workdir_owns intermediate);
/* Instead: moves one of its files to OUT, and removes the directory. */
ptq_status workdir_finish_file(struct workdir *w, const char *name, workdir_owns owns);
/* Unlocks it. keep: leave it for a resume; otherwise it is removed, with this program's files in
 * it. */
void workdir_close(struct workdir *w, int keep, workdir_owns owns);

/* Removes the files of a directory for which owns is true, and the directory, if it is then
 * empty. */
void workdir_remove(ptq_context *context, const char *path, workdir_owns owns);

#endif
