/* Whether a file that is to be written is one that is read. */
#ifndef INPUTS_H
#define INPUTS_H

/*
 * The first of the inputs that a file is, or is in, by whatever name or link; NULL where it is in
 * none. inputs are files, directories or indices of shards, which stand for the directories that
 * they are in; they may be NULL.
 */
const char *inputs_find(const char *const *inputs, int count, const char *file);

#endif
