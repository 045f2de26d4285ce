#include "checkpoint/workdir.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "checkpoint/difference.h"
#include "checkpoint/inputs.h"

static const char run_name[] = "run.json";
static const char mark[] = "{\"made_by\": \"ptq quantize\"";

void workdir_begin_description(struct ptqi_json_writer *w, ptq_context *context)
{
    ptqi_json_begin(w, context);
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "made_by", "ptq quantize");
}

static struct workdir *name_workdir(ptq_context *context, const char *out)
{
    int64_t length = (int64_t)strlen(out);
    struct workdir *w = ptqi_alloc_zero(context, 1, (int64_t)sizeof *w);
    if (!w)
        return NULL;
    while (length > 1 && out[length - 1] == '/')
        length--;
    w->context = context;
    w->lock = -1;
    w->path = ptqi_copy_text(context, out, length);
    w->partial = ptqi_alloc_zero(context, length + 9, 1);
    if (w->path && w->partial) {
        snprintf(w->partial, (size_t)length + 9, "%s.partial", w->path);
        return w;
    }
    ptqi_free(context, w->path);
    ptqi_free(context, w->partial);
    ptqi_free(context, w);
    return NULL;
}

static void free_workdir(struct workdir *w)
{
    ptqi_unlock_file(w->lock);
    ptqi_free(w->context, w->path);
    ptqi_free(w->context, w->partial);
    ptqi_free(w->context, w);
}

char *workdir_file(const struct workdir *w, const char *name)
{
    return ptqi_join_path(w->context, w->partial, name);
}

static int is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Whether a file has no other name, and so may be one that this program made. A link may lead to
 * somebody else's file. */
static int is_own_file(ptq_context *context, const char *directory, const char *name)
{
    struct stat info;
    char *path = ptqi_join_path(context, directory, name);
    int own = path && lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
    ptqi_free(context, path);
    return own;
}

/* Copies the name of an unwanted entry of the directory; 0 if all are wanted. */
static int find_unwanted(const struct workdir *w, int (*wanted)(const char *name), char *found,
                         size_t capacity)
{
    DIR *directory = opendir(w->partial);
    struct dirent *entry;
    int any = 0;
    while (directory && !any && (entry = readdir(directory)))
        if (!is_dots(entry->d_name) &&
            (!wanted(entry->d_name) || !is_own_file(w->context, w->partial, entry->d_name))) {
            snprintf(found, capacity, "%s", entry->d_name);
            any = 1;
        }
    if (directory)
        closedir(directory);
    return any;
}

static int is_run(const char *name)
{
    return !strcmp(name, run_name);
}

/* Whether text begins a description, even one that was cut off while being written. */
static int has_mark(const char *text, int64_t length)
{
    const int64_t whole = (int64_t)sizeof mark - 1;
    return !memcmp(text, mark, (size_t)(length < whole ? length : whole));
}

/*
 * Checks by the mark in run.json that OUT.partial belongs to this program. A directory whose
 * run.json is cut off within its mark may contain nothing else; an empty directory is also taken
 * over.
 */
static ptq_status check_ours(const struct workdir *w, int resume)
{
    char other[256];
    struct ptqi_map file = {NULL, 0};
    int whole = 0, ours = 0;
    char *path = workdir_file(w, run_name);
    if (!path)
        return PTQ_ERROR_MEMORY;
    if (!ptqi_file_exists(path)) {
        ours = !find_unwanted(w, is_run, other, sizeof other);
    } else if (is_own_file(w->context, w->partial, run_name) &&
               ptqi_map_file(w->context, path, &file) == PTQ_OK) {
        whole = file.size >= (int64_t)sizeof mark - 1;
        ours = has_mark((const char *)file.data, file.size) &&
               (whole || !find_unwanted(w, is_run, other, sizeof other));
        ptqi_unmap_file(&file);
    }
    ptqi_free(w->context, path);
    if (ours)
        return PTQ_OK;
    return ptqi_fail(w->context, PTQ_ERROR_CONFLICT,
                     "%s: exists and has no run.json of ptq quantize%s; move it away, or choose "
                     "another output",
                     w->partial, resume ? ", so --resume has nothing to continue" : "");
}

/* Sets *there to whether OUT.partial is a directory; fails if it is anything else. */
static ptq_status look_at_partial(const struct workdir *w, int *there)
{
    struct stat info;
    *there = lstat(w->partial, &info) == 0;
    if (*there && !S_ISDIR(info.st_mode))
        return ptqi_fail(w->context, PTQ_ERROR_IO,
                         "%s: is in the way; move it, or choose another output", w->partial);
    return PTQ_OK;
}

static ptq_status check_free(const struct workdir *w)
{
    struct stat info;
    if (lstat(w->path, &info) == 0)
        return ptqi_fail(w->context, PTQ_ERROR_IO,
                         "%s: exists already; remove it or choose another", w->path);
    return PTQ_OK;
}

/* Checks that new files can be created in the parent directory of OUT. */
static ptq_status check_parent(const struct workdir *w)
{
    char *parent = ptqi_parent_path(w->context, w->path);
    if (!parent)
        return PTQ_ERROR_MEMORY;
    ptq_status status = access(parent, W_OK | X_OK)
                            ? ptqi_fail_io(w->context, w->path, "make the directory")
                            : PTQ_OK;
    ptqi_free(w->context, parent);
    return status;
}

/* Checks that no file in OUT.partial is an input, since a run removes or replaces whatever it finds
 * there. */
static ptq_status check_inputs(const struct workdir *w, const char *const *inputs, int count)
{
    DIR *directory = opendir(w->partial);
    struct dirent *entry;
    ptq_status status = PTQ_OK;
    while (directory && !status && (entry = readdir(directory))) {
        char *file = is_dots(entry->d_name) ? NULL : workdir_file(w, entry->d_name);
        const char *input = file ? inputs_find(inputs, count, file) : NULL;
        if (input)
            status = ptqi_fail(w->context, PTQ_ERROR_CONFLICT,
                               "%s: is read as part of %s; choose another output", file, input);
        ptqi_free(w->context, file);
    }
    if (directory)
        closedir(directory);
    return status;
}

static ptq_status check(const struct workdir *w, const char *const *inputs, int count, int resume)
{
    int there;
    if (!*w->path)
        return ptqi_fail(w->context, PTQ_ERROR_ARGUMENT, "the name of the output is empty");
    PTQI_TRY(check_free(w));
    PTQI_TRY(check_parent(w));
    PTQI_TRY(look_at_partial(w, &there));
    for (int i = 0; i < count && there; i++)
        if (inputs[i] && ptqi_same_file(w->partial, inputs[i]))
            return ptqi_fail(w->context, PTQ_ERROR_CONFLICT,
                             "%s: is the model itself; choose another output", w->partial);
    PTQI_TRY(there ? check_ours(w, resume) : PTQ_OK);
    return there ? check_inputs(w, inputs, count) : PTQ_OK;
}

ptq_status workdir_check(ptq_context *context, const char *out, const char *const *inputs,
                         int count, int resume)
{
    struct workdir *w = name_workdir(context, out);
    if (!w)
        return PTQ_ERROR_MEMORY;
    ptq_status status = check(w, inputs, count, resume);
    free_workdir(w);
    return status;
}

/* Checks by its run.json whether the run begun or finished in directory is this one. */
static ptq_status compare_runs(const struct workdir *w, const char *directory, const char *run,
                               const char *description)
{
    const int begun = directory == w->partial;
    const char *const instead =
        begun ? "run without --resume to start over" : "move it away, or choose another output";
    struct ptqi_map file;
    char where[300] = "";
    PTQI_TRY(ptqi_map_file(w->context, run, &file));
    if (begun && !file.size) /* stopped before it was described */
        return PTQ_OK;
    ptq_status status = find_difference(w->context, run, (const char *)file.data, file.size,
                                        description, where, (int64_t)sizeof where);
    ptqi_unmap_file(&file);
    if (status)
        return ptqi_fail(w->context, PTQ_ERROR_CONFLICT, "%s: its run.json is damaged; %s",
                         directory, instead);
    if (!*where)
        return PTQ_OK;
    return ptqi_fail(w->context, PTQ_ERROR_CONFLICT, "%s: was %s with other input: %s differs; %s",
                     directory, begun ? "begun" : "made", where, instead);
}

/* A finished directory without a description belongs to something else. */
static ptq_status check_same(const struct workdir *w, const char *description)
{
    const int finished = ptqi_is_directory(w->path);
    const char *directory = finished ? w->path : w->partial;
    ptq_status status = PTQ_OK;
    char *run = ptqi_join_path(w->context, directory, run_name);
    if (!run)
        return PTQ_ERROR_MEMORY;
    if (ptqi_file_exists(run))
        status = compare_runs(w, directory, run, description);
    else if (finished)
        status = check_free(w);
    ptqi_free(w->context, run);
    return status;
}

ptq_status workdir_check_same(ptq_context *context, const char *out, const char *description)
{
    struct workdir *w = name_workdir(context, out);
    if (!w)
        return PTQ_ERROR_MEMORY;
    ptq_status status = check_same(w, description);
    free_workdir(w);
    return status;
}

static void remove_files(ptq_context *context, const char *path, workdir_owns owns, int keep_run)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        int ours = is_run(entry->d_name) ? !keep_run : owns(entry->d_name);
        char *file = ours ? ptqi_join_path(context, path, entry->d_name) : NULL;
        if (file && ptqi_file_exists(file))
            unlink(file);
        ptqi_free(context, file);
    }
    if (directory)
        closedir(directory);
}

void workdir_remove(ptq_context *context, const char *path, workdir_owns owns)
{
    remove_files(context, path, owns, 0);
    rmdir(path);
}

/* With the directory locked, takes over what an earlier run left, or clears it. */
static ptq_status begin_run(struct workdir *w, const char *run, const char *description, int resume,
                            workdir_owns owns)
{
    char other[256];
    if (resume && w->resumed)
        return compare_runs(w, w->partial, run, description);
    w->resumed = 0;
    if (find_unwanted(w, owns, other, sizeof other))
        return ptqi_fail(w->context, PTQ_ERROR_CONFLICT,
                         "%s: contains %s, which ptq did not make; move it away, or choose another "
                         "output",
                         w->partial, other);
    remove_files(w->context, w->partial, owns, 1);
    return ptqi_rewrite_locked(w->context, run, w->lock, description, (int64_t)strlen(description));
}

static ptq_status lock(struct workdir *w, const char *run)
{
    struct stat info;
    ptq_status status = ptqi_lock_file(w->context, run, &w->lock);
    if (status == PTQ_ERROR_CONFLICT)
        return ptqi_fail(w->context, status,
                         "%s: another run is writing there; wait for it, or choose another output",
                         w->partial);
    if (!status)
        w->resumed = fstat(w->lock, &info) == 0 && info.st_size > 0;
    return status;
}

static ptq_status open_workdir(struct workdir *w, const char *description, int resume,
                               workdir_owns owns)
{
    int there;
    PTQI_TRY(check_free(w));
    PTQI_TRY(look_at_partial(w, &there));
    if (!there && mkdir(w->partial, 0777) && errno != EEXIST)
        return ptqi_fail_io(w->context, w->partial, "make the directory");
    PTQI_TRY(check_ours(w, resume));
    char *run = workdir_file(w, run_name);
    ptq_status status = run ? lock(w, run) : PTQ_ERROR_MEMORY;
    if (!status)
        status = begin_run(w, run, description, resume, owns);
    if (status && !there && w->lock >= 0)
        workdir_remove(w->context, w->partial, owns);
    ptqi_free(w->context, run);
    return status;
}

ptq_status workdir_open(ptq_context *context, const char *out, const char *description, int resume,
                        workdir_owns owns, struct workdir **workdir)
{
    struct workdir *w = name_workdir(context, out);
    *workdir = NULL;
    if (!w)
        return PTQ_ERROR_MEMORY;
    ptq_status status = open_workdir(w, description, resume, owns);
    if (status) {
        free_workdir(w);
        return status;
    }
    *workdir = w;
    return PTQ_OK;
}

ptq_status workdir_finish(struct workdir *w, int keep_run, workdir_owns intermediate)
{
    PTQI_TRY(check_free(w));
    if (rename(w->partial, w->path))
        return ptqi_fail_io(w->context, w->path, "rename to");
    w->finished = 1;
    remove_files(w->context, w->path, intermediate, keep_run);
    return PTQ_OK;
}

ptq_status workdir_finish_file(struct workdir *w, const char *name, workdir_owns owns)
{
    PTQI_TRY(check_free(w));
    char *path = workdir_file(w, name);
    ptq_status status = path ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (path && rename(path, w->path))
        status = ptqi_fail_io(w->context, w->path, "rename to");
    ptqi_free(w->context, path);
    PTQI_TRY(status);
    w->finished = 1;
    workdir_remove(w->context, w->partial, owns);
    return PTQ_OK;
}

void workdir_close(struct workdir *w, int keep, workdir_owns owns)
{
    if (!w)
        return;
    if (!keep && !w->finished)
        workdir_remove(w->context, w->partial, owns);
    free_workdir(w);
}
