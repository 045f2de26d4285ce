/*
 * Files: mapped for reading, written whole or not at all.
 */
#ifndef PTQI_FILE_H
#define PTQI_FILE_H

#include "context.h"

struct ptqi_map {
    const uint8_t *data;
    int64_t size;
};

/* Maps a regular file. An empty one gives size 0 and data that is not NULL. */
ptq_status ptqi_map_file(ptq_context *context, const char *path, struct ptqi_map *map);
void ptqi_unmap_file(struct ptqi_map *map);

/* A file being written beside its final place. */
struct ptqi_output {
    ptq_context *context;
    char *path, *partial; /* partial = path + ".partial" */
    int fd;
};

ptq_status ptqi_output_begin(ptq_context *context, const char *path, struct ptqi_output *output);
ptq_status ptqi_output_write(struct ptqi_output *output, const void *data, int64_t bytes);
/* Syncs, renames to path, syncs the directory. On failure the partial file is removed. */
ptq_status ptqi_output_commit(struct ptqi_output *output);
/* Removes the partial file of an output that was begun and not committed. Safe to call always. */
void ptqi_output_drop(struct ptqi_output *output);

/* A whole small file in one step. */
ptq_status ptqi_write_file(ptq_context *context, const char *path, const void *data,
                           int64_t bytes);

/* directory + "/" + name, allocated. */
char *ptqi_join_path(ptq_context *context, const char *directory, const char *name);
int ptqi_is_directory(const char *path);
int ptqi_file_exists(const char *path);

#endif
