/*
 * Mapping, locking and atomic writing. A reader never sees a partial file: data are written to a
 * new file next to the final one and synced to disk before it is renamed.
 */
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ptq_status ptqi_fail_io(ptq_context *context, const char *path, const char *what)
{
    int error = errno;
    return ptqi_fail(context, PTQ_ERROR_IO, "%s: cannot %s: %s", path, what, strerror(error));
}

ptq_status ptqi_map_file(ptq_context *context, const char *path, struct ptqi_map *map)
{
    struct stat info;
    map->data = NULL;
    map->size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ptqi_fail_io(context, path, "open");
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return ptqi_fail(context, PTQ_ERROR_IO, "%s: not a regular file", path);
    }
    if (info.st_size == 0) {
        close(fd);
        map->data = (const uint8_t *)"";
        return PTQ_OK;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        ptq_status status = ptqi_fail_io(context, path, "map");
        close(fd);
        return status;
    }
    close(fd);
    map->data = data;
    map->size = info.st_size;
    return PTQ_OK;
}

void ptqi_unmap_file(struct ptqi_map *map)
{
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    map->data = NULL;
    map->size = 0;
}

#define PARTIAL_NAMES 1000 /* to try before giving up */

static const char partial_ending[] = ".partial";

/* Creates a file with an unused name and stores that name in output->partial. */
static ptq_status create_partial(struct ptqi_output *output)
{
    const int64_t size = (int64_t)strlen(output->path) + 24;
    output->partial = ptqi_alloc(output->context, size, 1);
    if (!output->partial)
        return PTQ_ERROR_MEMORY;
    for (int i = 0; i < PARTIAL_NAMES; i++) {
        char number[16] = "";
        if (i)
            snprintf(number, sizeof number, ".%d", i);
        snprintf(output->partial, (size_t)size, "%s%s%s", output->path, number, partial_ending);
        output->fd = open(output->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->fd >= 0)
            return PTQ_OK;
        if (errno != EEXIST)
            break;
    }
    ptq_status status = ptqi_fail_io(output->context, output->path, "write");
    ptqi_free(output->context, output->partial);
    output->partial = NULL; /* it belongs to someone else: do not remove it */
    return status;
}

void ptqi_cut_partial(char *name)
{
    size_t length = strlen(name), tail = sizeof partial_ending - 1;
    if (length <= tail || strcmp(name + length - tail, partial_ending))
        return;
    name[length -= tail] = 0;
    char *dot = strrchr(name, '.');
    if (dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1))
        *dot = 0;
}

/* The file replaces whatever is at path, which must not be a device, pipe or directory, nor a link
 * to one. */
static ptq_status check_replaceable(ptq_context *context, const char *path)
{
    struct stat info;
    if (stat(path, &info) || S_ISREG(info.st_mode))
        return PTQ_OK;
    return ptqi_fail(context, PTQ_ERROR_IO, "%s: is %s", path,
                     S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
}

ptq_status ptqi_output_begin(ptq_context *context, const char *path, struct ptqi_output *output)
{
    memset(output, 0, sizeof *output);
    output->fd = -1;
    PTQI_TRY(check_replaceable(context, path));
    output->context = context;
    output->path = ptqi_copy_text(context, path, (int64_t)strlen(path));
    ptq_status status = output->path ? create_partial(output) : PTQ_ERROR_MEMORY;
    if (status)
        ptqi_output_drop(output);
    return status;
}

static ptq_status write_all(ptq_context *context, const char *path, int fd, const void *data,
                            int64_t bytes)
{
    const char *next = data;
    while (bytes > 0) {
        size_t piece = bytes < (1 << 30) ? (size_t)bytes : (size_t)1 << 30;
        ssize_t written = write(fd, next, piece);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return ptqi_fail_io(context, path, "write");
        next += written;
        bytes -= written;
    }
    return PTQ_OK;
}

ptq_status ptqi_output_write(struct ptqi_output *output, const void *data, int64_t bytes)
{
    return write_all(output->context, output->path, output->fd, data, bytes);
}

/* A rename is durable only after its directory is synced; not every file system supports that. */
static void sync_directory_of(const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory)
        return;
    memcpy(directory, path, length);
    directory[length] = 0;
    int fd = open(slash ? (length ? directory : "/") : ".", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

ptq_status ptqi_output_commit(struct ptqi_output *output)
{
    ptq_status status = PTQ_OK;
    if (fsync(output->fd) && errno != EINVAL)
        status = ptqi_fail_io(output->context, output->path, "sync");
    if (close(output->fd) && !status)
        status = ptqi_fail_io(output->context, output->path, "write");
    output->fd = -1;
    if (!status && rename(output->partial, output->path))
        status = ptqi_fail_io(output->context, output->path, "rename to");
    if (!status) {
        sync_directory_of(output->path);
        ptqi_free(output->context, output->partial);
        output->partial = NULL;
    }
    ptqi_output_drop(output);
    return status;
}

void ptqi_output_drop(struct ptqi_output *output)
{
    if (!output->context)
        return;
    if (output->fd >= 0)
        close(output->fd);
    if (output->partial)
        unlink(output->partial);
    ptqi_free(output->context, output->partial);
    ptqi_free(output->context, output->path);
    memset(output, 0, sizeof *output);
    output->fd = -1;
}

ptq_status ptqi_write_file(ptq_context *context, const char *path, const void *data, int64_t bytes)
{
    struct ptqi_output output;
    PTQI_TRY(ptqi_output_begin(context, path, &output));
    ptq_status status = ptqi_output_write(&output, data, bytes);
    if (!status)
        return ptqi_output_commit(&output);
    ptqi_output_drop(&output);
    return status;
}

ptq_status ptqi_check_writable(ptq_context *context, const char *path)
{
    struct ptqi_output output;
    PTQI_TRY(ptqi_output_begin(context, path, &output));
    ptqi_output_drop(&output);
    return PTQ_OK;
}

/* Whether path still refers to the open file; its owner may have removed it. */
static int is_at(const char *path, int fd)
{
    struct stat open_file, there;
    return fstat(fd, &open_file) == 0 && lstat(path, &there) == 0 &&
           open_file.st_dev == there.st_dev && open_file.st_ino == there.st_ino;
}

ptq_status ptqi_lock_file(ptq_context *context, const char *path, int *out)
{
    *out = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return ptqi_fail_io(context, path, "open");
    int refused = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    if (refused || !is_at(path, fd)) {
        close(fd);
        return ptqi_fail(context, PTQ_ERROR_CONFLICT, "%s: locked by another process", path);
    }
    *out = fd;
    return PTQ_OK;
}

ptq_status ptqi_rewrite_locked(ptq_context *context, const char *path, int fd, const void *data,
                               int64_t bytes)
{
    if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
        return ptqi_fail_io(context, path, "write");
    PTQI_TRY(write_all(context, path, fd, data, bytes));
    return fsync(fd) && errno != EINVAL ? ptqi_fail_io(context, path, "sync") : PTQ_OK;
}

void ptqi_unlock_file(int fd)
{
    if (fd >= 0)
        close(fd);
}

int ptqi_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

char *ptqi_join_path(ptq_context *context, const char *directory, const char *name)
{
    size_t a = strlen(directory), b = strlen(name);
    char *path = ptqi_alloc(context, (int64_t)(a + b + 2), 1);
    if (path)
        snprintf(path, a + b + 2, "%s/%s", directory, name);
    return path;
}

char *ptqi_parent_path(ptq_context *context, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ptqi_copy_text(context, ".", 1);
    return ptqi_copy_text(context, path, slash == path ? 1 : slash - path);
}

int ptqi_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int ptqi_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}
