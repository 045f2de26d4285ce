/*
 * Reads members of config.json and remembers which were looked at, so that what nobody has looked
 * at can be told apart. null counts as absent, as in the files that transformers writes. The first
 * mistake stays as the reader's status.
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

/* A member that must be the given number, false, empty, null or absent: any other value means
 * another model. */
struct config_fixed {
    const char *name;
    double value; /* of a number or, 0 or 1, of a bool */
};

/* '"name" problem', once. */
void config_fail(struct config_reader *r, const char *name, const char *problem);
/* A member, NULL where it is absent or null. */
const struct ptqi_json *config_member(struct config_reader *r, const char *name);
/* An integer within 1 .. highest; fallback < 0 means that it must be there. */
int64_t config_integer(struct config_reader *r, const char *name, int64_t highest,
                       int64_t fallback);
/* The same by either of two names; both may be there with the same value. */
int64_t config_either(struct config_reader *r, const char *name, const char *other,
                      int64_t highest);
/* The first of some names, behind which NULL stands, that is there; fallback where none is. */
int64_t config_first(struct config_reader *r, const char *const *names, int64_t highest,
                     int64_t fallback);
/* A positive number of object, which is root or a member of it. */
double config_real(struct config_reader *r, const struct ptqi_json *object, const char *name,
                   double fallback);
/* true, false, or fallback where it is absent. */
int config_flag(struct config_reader *r, const char *name, int fallback);
/* A string that must be one of two where it is there. */
void config_expect(struct config_reader *r, const char *name, const char *wanted,
                   const char *other);
void config_check_fixed(struct config_reader *r, const struct ptqi_json *object,
                        const struct config_fixed *fixed);
/* A member of an object, NULL where it is absent or null. */
const struct ptqi_json *config_value(const struct ptqi_json *object, const char *name);

/* A member that nobody has looked at, from number *at on; NULL at the end. */
const struct ptqi_json *config_next_unseen(const struct config_reader *r, int64_t *at);

#endif
