/*
 * Files: mapped for reading, written atomically.
 */
#ifndef PTQI_FILE_H
#define PTQI_FILE_H

#include "context.h"

/* "path: cannot what: reason", where the reason comes from errno. */
ptq_status ptqi_fail_io(ptq_context *context, const char *path, const char *what);

struct ptqi_map {
    const uint8_t *data;
    int64_t size;
};

/* Maps a regular file. For an empty file, size is 0 and data is not NULL. */
ptq_status ptqi_map_file(ptq_context *context, const char *path, struct ptqi_map *map);
void ptqi_unmap_file(struct ptqi_map *map);

/* A file being written next to its final place, as "<path>.partial", or "<path>.1.partial" and so
 * on if that exists. Existing files are never opened. */
struct ptqi_output {
    ptq_context *context;
    char *path, *partial;
    int fd;
};

ptq_status ptqi_output_begin(ptq_context *context, const char *path, struct ptqi_output *output);
ptq_status ptqi_output_write(struct ptqi_output *output, const void *data, int64_t bytes);
/* Syncs, renames to path, syncs the directory. On failure the partial file is removed. */
ptq_status ptqi_output_commit(struct ptqi_output *output);
/* Removes the partial file of an output that was begun and not committed. Always safe to call. */
void ptqi_output_drop(struct ptqi_output *output);

/* Removes ".partial" or ".7.partial" from a name, which leaves the final name of the file. */
void ptqi_cut_partial(char *name);

/* Writes a small file in one step. */
ptq_status ptqi_write_file(ptq_context *context, const char *path, const void *data, int64_t bytes);

/* Tests whether path can be written by beginning to write it; leaves nothing behind. */
ptq_status ptqi_check_writable(ptq_context *context, const char *path);

/*
 * Opens a file for reading and writing, creates it if necessary, and locks it against other
 * processes until ptqi_unlock_file or process exit. PTQ_ERROR_CONFLICT if another process holds the
 * lock. On file systems without locks there is no protection.
 */
ptq_status ptqi_lock_file(ptq_context *context, const char *path, int *fd);
/* Replaces the contents of a locked file and syncs it. */
ptq_status ptqi_rewrite_locked(ptq_context *context, const char *path, int fd, const void *data,
                               int64_t bytes);
void ptqi_unlock_file(int fd); /* -1 is allowed */

/* Whether two paths refer to the same file or directory, even through links or different spellings.
 */
int ptqi_same_file(const char *a, const char *b);
/* directory + "/" + name, allocated. */
char *ptqi_join_path(ptq_context *context, const char *directory, const char *name);
/* The directory part of path as spelled; "." if it has none; allocated. */
char *ptqi_parent_path(ptq_context *context, const char *path);
int ptqi_is_directory(const char *path);
int ptqi_file_exists(const char *path);

#endif
