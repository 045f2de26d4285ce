/*
 * Files: mapped for reading, written whole or not at all.
 */
#ifndef PTQI_FILE_H
#define PTQI_FILE_H

#include "context.h"

/* "path: cannot what: reason", by errno. */
ptq_status ptqi_fail_io(ptq_context *context, const char *path, const char *what);

struct ptqi_map {
    const uint8_t *data;
    int64_t size;
};

/* Maps a regular file. An empty one gives size 0 and data that is not NULL. */
ptq_status ptqi_map_file(ptq_context *context, const char *path, struct ptqi_map *map);
void ptqi_unmap_file(struct ptqi_map *map);

/* A file being written beside its final place: "<path>.partial", or "<path>.1.partial" and so on
 * where something has that name. What exists is never opened. */
struct ptqi_output {
    ptq_context *context;
    char *path, *partial;
    int fd;
};

ptq_status ptqi_output_begin(ptq_context *context, const char *path, struct ptqi_output *output);
ptq_status ptqi_output_write(struct ptqi_output *output, const void *data, int64_t bytes);
/* Syncs, renames to path, syncs the directory. On failure the partial file is removed. */
ptq_status ptqi_output_commit(struct ptqi_output *output);
/* Removes the partial file of an output that was begun and not committed. Safe to call always. */
void ptqi_output_drop(struct ptqi_output *output);

/* Cuts ".partial" or ".7.partial" off a name: what remains is the name that the file is to get. */
void ptqi_cut_partial(char *name);

/* A whole small file in one step. */
ptq_status ptqi_write_file(ptq_context *context, const char *path, const void *data, int64_t bytes);

/* Whether path can be written, found out by beginning to; nothing is left behind. */
ptq_status ptqi_check_writable(ptq_context *context, const char *path);

/*
 * Opens a file for reading and writing, creating it where there is none, and locks it against other
 * processes until ptqi_unlock_file or the end of this one. PTQ_ERROR_CONFLICT where another holds
 * it. On file systems without locks there is no protection.
 */
ptq_status ptqi_lock_file(ptq_context *context, const char *path, int *fd);
/* Replaces the content of a locked file, on the disk too. */
ptq_status ptqi_rewrite_locked(ptq_context *context, const char *path, int fd, const void *data,
                               int64_t bytes);
void ptqi_unlock_file(int fd); /* -1 is fine */

/* Whether two paths lead to the same file or directory, by links or other spellings too. */
int ptqi_same_file(const char *a, const char *b);
/* directory + "/" + name, allocated. */
char *ptqi_join_path(ptq_context *context, const char *directory, const char *name);
/* The directory that holds path by its spelling, "." where it names none; allocated. */
char *ptqi_parent_path(ptq_context *context, const char *path);
int ptqi_is_directory(const char *path);
int ptqi_file_exists(const char *path);

#endif
