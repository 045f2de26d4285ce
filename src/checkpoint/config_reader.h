/*
 * Reads members of config.json and records which were read, so that unread ones can be found. As in
 * files written by transformers, null means absent. The first error is kept as the reader's status.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "base/json.h"
#include "ptq/context.h"

enum { MAX_SEEN = 96 };

struct config_reader {
    ptq_context *context;
    const char *path; /* of config.json, for messages */
    const struct ptqi_json *root;
    const struct ptqi_json *seen[MAX_SEEN];
    int seen_count;
    ptq_status status;
};

/* A member that must be the given number, false, empty, null or absent: any other value describes a
 * different model. */
struct config_fixed {
    const char *name;
    double value; /* a number, or 0 or 1 for a bool */
};

/* Fails with '"name" problem', unless the reader has already failed. */
void config_fail(struct config_reader *r, const char *name, const char *problem);
/* A member; NULL if it is absent or null. */
const struct ptqi_json *config_member(struct config_reader *r, const char *name);
/* An integer in 1 .. highest; required if fallback < 0. */
int64_t config_integer(struct config_reader *r, const char *name, int64_t highest,
                       int64_t fallback);
/* The same, under either of two names; if both are present, they must agree. */
int64_t config_either(struct config_reader *r, const char *name, const char *other,
                      int64_t highest);
/* The first member present of names, a list that ends with NULL; fallback if there is none. */
int64_t config_first(struct config_reader *r, const char *const *names, int64_t highest,
                     int64_t fallback);
/* A positive number in object, which is root or a member of it. */
double config_real(struct config_reader *r, const struct ptqi_json *object, const char *name,
                   double fallback);
/* A positive number for which null means 0, and fallback only that it is absent. */
double config_optional(struct config_reader *r, const char *name, double fallback);
/* true, false, or fallback if it is absent. */
int config_flag(struct config_reader *r, const char *name, int fallback);
/* A string that, if present, must be one of these two. */
void config_expect(struct config_reader *r, const char *name, const char *wanted,
                   const char *other);
void config_check_fixed(struct config_reader *r, const struct ptqi_json *object,
                        const struct config_fixed *fixed);
/* A member of an object; NULL if it is absent or null. */
const struct ptqi_json *config_value(const struct ptqi_json *object, const char *name);

/* The next member not yet read, starting at number *at; NULL at the end. */
const struct ptqi_json *config_next_unseen(const struct config_reader *r, int64_t *at);

#endif
