#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The instruction set that runs. Those that a build does not check are of no use. */
#ifndef FUZZ_ISA
#define FUZZ_ISA PTQ_AUTO
#endif

/* Inputs have a few thousand bytes. What is allocated for a file of that size may be much larger,
 * but by a fixed amount. */
#define LARGEST_ALLOCATION ((int64_t)64 << 20)

static void *allocate(void *user, int64_t bytes, int64_t alignment)
{
    void *memory = NULL;
    (void)user;
    if (bytes > LARGEST_ALLOCATION)
        fprintf(stderr, "allocation of %lld bytes\n", (long long)bytes);
    fuzz_require(bytes <= LARGEST_ALLOCATION, "allocations are as small as the input");
    return posix_memalign(&memory, (size_t)alignment, (size_t)bytes) ? NULL : memory;
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static ptq_context *shared;

static void free_context(void)
{
    ptq_context_free(shared);
}

ptq_context *fuzz_context(void)
{
    if (!shared) {
        fuzz_require(!ptq_context_create_with_allocator(allocate, release, NULL, &shared) &&
                         !ptq_context_set_threads(shared, 1) &&
                         !ptq_context_set_isa(shared, FUZZ_ISA),
                     "there is a context");
        atexit(free_context);
    }
    return shared;
}

void fuzz_require(int condition, const char *what)
{
    char message[1024];
    if (condition)
        return;
    ptq_last_message(message, (int64_t)sizeof message);
    fprintf(stderr, "does not hold: %s\nthe last message: %s\n", what, message);
    abort();
}

int fuzz_succeeded(ptq_status status)
{
    char message[1024];
    if (!status)
        return 1;
    ptq_last_message(message, (int64_t)sizeof message);
    if (getenv("FUZZ_VERBOSE"))
        fprintf(stderr, "    %s\n", message);
    fuzz_require(*message && !strchr(message, '\n'), "a failure has a message of one line");
    return 0;
}

/* The first place of a separator; NULL if there is none. */
static const uint8_t *find_between(const uint8_t *at, const uint8_t *end)
{
    const size_t length = sizeof FUZZ_BETWEEN - 1;
    for (; (size_t)(end - at) >= length; at++)
        if (!memcmp(at, FUZZ_BETWEEN, length))
            return at;
    return NULL;
}

void fuzz_divide(const uint8_t *bytes, size_t size, struct fuzz_part *parts, int count)
{
    const uint8_t *at = bytes, *const end = bytes + size;
    for (int i = 0; i < count; i++) {
        const uint8_t *found = i < count - 1 && size ? find_between(at, end) : NULL;
        parts[i] = (struct fuzz_part){at, (found ? found : end) - at};
        at = found ? found + sizeof FUZZ_BETWEEN - 1 : end;
    }
}

/* The scratch files of this process, and their directory. */
enum { MOST_FILES = 8, PATH_SIZE = 300 };
static struct {
    char directory[200], paths[MOST_FILES][PATH_SIZE];
    int count;
} files;

static void remove_files(void)
{
    for (int i = 0; i < files.count; i++)
        unlink(files.paths[i]);
    rmdir(files.directory);
}

static void make_directory(void)
{
    const char *folder = getenv("FUZZ_FILES");
    snprintf(files.directory, sizeof files.directory, "%.150s/ptq-fuzz-%ld",
             folder ? folder : "/tmp", (long)getpid());
    fuzz_require(!mkdir(files.directory, 0700), "a directory for scratch files can be made");
    atexit(remove_files);
}

const char *fuzz_path(const char *name)
{
    char path[PATH_SIZE];
    if (!*files.directory)
        make_directory();
    if (!*name)
        return files.directory;
    snprintf(path, sizeof path, "%s/%.60s", files.directory, name);
    for (int i = 0; i < files.count; i++)
        if (!strcmp(files.paths[i], path))
            return files.paths[i];
    fuzz_require(files.count < MOST_FILES, "there are few scratch files");
    return strcpy(files.paths[files.count++], path);
}

const char *fuzz_write(const char *name, struct fuzz_part contents)
{
    const char *path = fuzz_path(name);
    FILE *file = fopen(path, "wb");
    const size_t size = (size_t)contents.size;
    fuzz_require(file && fwrite(contents.bytes, 1, size, file) == size, "files can be written");
    fuzz_require(!fclose(file), "files can be closed");
    return path;
}
