/* Whether an output file is also an input. */
#ifndef INPUTS_H
#define INPUTS_H

/*
 * The first of the inputs that is the file or contains it, under any name or link; NULL if there is
 * none. inputs are files, directories, or shard indices, which represent the directories that
 * contain them; they may be NULL.
 */
const char *inputs_find(const char *const *inputs, int count, const char *file);

#endif
