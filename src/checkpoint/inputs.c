#include "checkpoint/inputs.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"

/* Whether a directory contains the file, under any name. */
static int is_in_directory(const char *file, const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    char name[4096];
    int found = 0;
    while (directory && !found && (entry = readdir(directory)))
        found = snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name &&
                ptqi_same_file(file, name);
    if (directory)
        closedir(directory);
    return found;
}

/* A shard index represents the directory that contains it. */
static int is_input(const char *file, const char *input)
{
    static const char index[] = ".index.json";
    char directory[4096];
    const size_t length = strlen(input), tail = sizeof index - 1;
    if (ptqi_same_file(file, input))
        return 1;
    if (ptqi_is_directory(input))
        return is_in_directory(file, input);
    if (length < tail || length >= sizeof directory || strcmp(input + length - tail, index))
        return 0;
    snprintf(directory, sizeof directory, "%s", input);
    char *slash = strrchr(directory, '/');
    snprintf(slash ? slash : directory, 2, "%s", slash == directory ? "/" : slash ? "" : ".");
    return is_in_directory(file, directory);
}

const char *inputs_find(const char *const *inputs, int count, const char *file)
{
    for (int i = 0; i < count; i++)
        if (inputs[i] && is_input(file, inputs[i]))
            return inputs[i];
    return NULL;
}
