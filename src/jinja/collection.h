/*
 * Lists and dicts: making them, and reading what can be iterated over.
 */
#ifndef JINJA_COLLECTION_H
#define JINJA_COLLECTION_H

#include "jinja/machine.h"

/* A list that grows. It becomes a value when it is complete. */
struct gatherer {
    struct list list;
    int64_t capacity;
};

ptq_status gather(struct machine *m, struct gatherer *g, struct value value);
/* kind: VALUE_LIST to VALUE_GENERATOR. */
ptq_status gathered(struct machine *m, const struct gatherer *g, enum value_kind kind,
                    struct value *out);
/* A tuple of two values. */
ptq_status make_couple(struct machine *m, struct value first, struct value second,
                       struct value *out);

/* The items of a value in order: the characters of a string, the keys of a dict. A generator is
 * empty afterwards. Fails if the value cannot be iterated over. */
ptq_status items_of(struct machine *m, const struct value *v, const struct list **list);
/* len(v); fails if the value has no length. */
ptq_status length_of(struct machine *m, const struct value *v, int64_t *length);

ptq_status make_dict(struct machine *m, enum value_kind kind, struct value *out);
/* The value of a key; *found is NULL if there is none, or if such a key is impossible. */
ptq_status dict_get(struct machine *m, const struct dict *d, const struct value *key,
                    struct value **found);
ptq_status dict_set(struct machine *m, struct dict *d, struct value key, struct value value);
/* A member of a namespace. Names that begin with an underline are forbidden, as in transformers. */
ptq_status namespace_set(struct machine *m, struct dict *d, struct text name, struct value value);

#endif
