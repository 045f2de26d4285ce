/*
 * The text is decomposed, its marks are ordered by their combining class, and then composed. Each
 * character is kept in one number, with its class in the upper bits.
 */
#include "compose.h"
#include <string.h>
#include "base/utf8.h"

struct pair {
    uint32_t character, first, second;
};

#include "unicode_compatible.h"
#include "unicode_compatible_texts.h"
#include "unicode_composed.h"
#include "unicode_decomposed.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define CHARACTER(c) ((c)&0x1fffff)
#define CLASS(c) ((c) >> 21)
#define MANY_MARKS 32
#define LAST 0x800000u /* marks the end of a text in compatible_texts */

/* Hangul syllables are composed by arithmetic. */
enum { HANGUL = 0xac00, LEADS = 0x1100, VOWELS = 0x1161, TAILS = 0x11a7 };
enum { LEAD_COUNT = 19, VOWEL_COUNT = 21, TAIL_COUNT = 28 };
enum { SYLLABLES = LEAD_COUNT * VOWEL_COUNT * TAIL_COUNT };

struct characters {
    const struct composer *composer;
    ptq_context *context;
    int form;
    uint32_t *all;
    int64_t count, capacity;
};

static const struct pair *find_pair(const struct pair *table, int count, uint32_t c)
{
    int low = 0, high = count; /* it is, if anywhere, in [low, high) */
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (table[middle].character < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && table[low].character == c ? table + low : NULL;
}

/* The same if character and first are the ends of a range. */
static const struct pair *find_range(const struct pair *table, int count, uint32_t c)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (c > table[middle].first)
            low = middle + 1;
        else if (c < table[middle].character)
            high = middle;
        else
            return table + middle;
    }
    return NULL;
}

static uint32_t class_of(uint32_t c)
{
    const struct pair *range = find_range(combining, COUNT(combining), c);
    return range ? range->second : 0;
}

static uint64_t pair_hash(const struct composer *c, uint32_t first, uint32_t second)
{
    return ptqi_table_hash_number(&c->pairs, (uint64_t)first << 32 | second);
}

ptq_status composer_begin(ptq_context *context, struct composer *c)
{
    c->context = context;
    ptqi_table_begin(&c->pairs, context);
    PTQI_TRY(ptqi_table_reserve(&c->pairs, COUNT(composed)));
    for (int i = 0; i < COUNT(composed); i++)
        ptqi_table_add(&c->pairs, pair_hash(c, composed[i].first, composed[i].second),
                       composed[i].character);
    ptqi_table_begin(&c->texts, context);
    PTQI_TRY(ptqi_table_reserve(&c->texts, COUNT(compatible_texts)));
    for (int i = 0; i < COUNT(compatible_texts); i++) {
        ptqi_table_add(&c->texts, ptqi_table_hash_number(&c->texts, compatible_texts[i]), i + 1);
        while (!(compatible_texts[++i] & LAST)) /* goes on behind the text */
            continue;
    }
    return PTQ_OK;
}

void composer_end(struct composer *c)
{
    if (c->context) {
        ptqi_table_end(&c->pairs);
        ptqi_table_end(&c->texts);
    }
    memset(c, 0, sizeof *c);
}

static ptq_status put(struct characters *s, uint32_t c)
{
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->all, s->count, &s->capacity, s->count + 1,
                       (int64_t)sizeof *s->all));
    s->all[s->count++] = c < 0x300 ? c : c | class_of(c) << 21;
    return PTQ_OK;
}

static ptq_status put_syllable(struct characters *s, uint32_t index)
{
    const uint32_t tail = index % TAIL_COUNT;
    PTQI_TRY(put(s, LEADS + index / (VOWEL_COUNT * TAIL_COUNT)));
    PTQI_TRY(put(s, VOWELS + index / TAIL_COUNT % VOWEL_COUNT));
    return tail ? put(s, TAILS + tail) : PTQ_OK;
}

/* What NFKD makes of a character, if that is different from NFD. */
static ptq_status put_compatible(struct characters *s, uint32_t c, int *found)
{
    int64_t at = -1;
    const struct pair *range = find_range(compatible, COUNT(compatible), c);
    const struct ptqi_table *texts = &s->composer->texts;
    *found = 1;
    if (range)
        return put(s, range->second + (c - range->character));
    const struct ptqi_slot *slot = ptqi_table_next(texts, ptqi_table_hash_number(texts, c), &at);
    *found = slot != NULL;
    for (int64_t i = slot ? slot->item : 0, more = *found; more; i++) {
        PTQI_TRY(put(s, compatible_texts[i] & ~LAST));
        more = !(compatible_texts[i] & LAST);
    }
    return PTQ_OK;
}

static ptq_status decompose(struct characters *s, uint32_t c)
{
    int found = 0;
    if (c < 0x80)
        return put(s, c);
    if (s->form & FORM_COMPATIBLE)
        PTQI_TRY(put_compatible(s, c, &found));
    if (found)
        return PTQ_OK;
    if (c >= HANGUL && c < HANGUL + SYLLABLES)
        return put_syllable(s, c - HANGUL);
    const struct pair *pair = find_pair(composed, COUNT(composed), c);
    if (!pair)
        pair = find_pair(decomposed, COUNT(decomposed), c);
    if (!pair)
        return put(s, c);
    PTQI_TRY(decompose(s, pair->first));
    return pair->second ? decompose(s, pair->second) : PTQ_OK;
}

/* Sorts marks by class; those of the same class keep their order. */
static void sort_few(uint32_t *marks, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        const uint32_t mark = marks[i];
        int64_t at = i;
        for (; at > 0 && CLASS(marks[at - 1]) > CLASS(mark); at--)
            marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

/* The same in linear time. */
static ptq_status sort_many(ptq_context *context, uint32_t *marks, int64_t count)
{
    int64_t next[256] = {0}, used = 0;
    uint32_t *sorted = ptqi_alloc(context, count, (int64_t)sizeof *sorted);
    if (!sorted)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        next[CLASS(marks[i])]++;
    for (int k = 0; k < 256; k++) {
        const int64_t here = next[k];
        next[k] = used;
        used += here;
    }
    for (int64_t i = 0; i < count; i++)
        sorted[next[CLASS(marks[i])]++] = marks[i];
    memcpy(marks, sorted, (size_t)count * sizeof *marks);
    ptqi_free(context, sorted);
    return PTQ_OK;
}

static ptq_status sort_marks(struct characters *s)
{
    for (int64_t i = 0, end; i < s->count; i = end) {
        for (end = i; end < s->count && CLASS(s->all[end]);)
            end++;
        if (end - i > MANY_MARKS)
            PTQI_TRY(sort_many(s->context, s->all + i, end - i));
        else
            sort_few(s->all + i, end - i);
        end += end == i;
    }
    return PTQ_OK;
}

/* The character that two are composed to, 0 if none. */
static uint32_t join(const struct composer *c, uint32_t first, uint32_t second)
{
    int64_t at = -1;
    if (first - LEADS < LEAD_COUNT && second - VOWELS < VOWEL_COUNT)
        return HANGUL + ((first - LEADS) * VOWEL_COUNT + (second - VOWELS)) * TAIL_COUNT;
    if (first - HANGUL < SYLLABLES && (first - HANGUL) % TAIL_COUNT == 0 &&
        second - TAILS - 1 < TAIL_COUNT - 1)
        return first + (second - TAILS);
    const struct ptqi_slot *slot = ptqi_table_next(&c->pairs, pair_hash(c, first, second), &at);
    return slot ? (uint32_t)slot->item : 0;
}

static void compose(const struct composer *c, struct characters *s)
{
    int64_t used = 0, starter = -1;
    uint32_t last = 0, joined; /* the class of the last character since the starter */
    for (int64_t i = 0; i < s->count; i++) {
        const uint32_t here = s->all[i], k = CLASS(here);
        if (starter >= 0 && (!last || last < k) &&
            (joined = join(c, s->all[starter], CHARACTER(here))) != 0) {
            s->all[starter] = joined;
            continue;
        }
        if (!k)
            starter = used;
        last = k;
        s->all[used++] = here;
    }
    s->count = used;
}

/* Characters below U+0300 do not change in NFC, ASCII never. */
static int is_simple(const char *text, int64_t length, int form)
{
    const int limit = form == FORM_COMPOSED ? 0xcc : 0x80;
    for (int64_t i = 0; i < length; i++)
        if ((uint8_t)text[i] >= limit)
            return 0;
    return 1;
}

ptq_status composer_normalize(const struct composer *c, const char *text, int64_t length, int form,
                              struct buffer *out)
{
    struct characters s = {.composer = c, .context = c->context, .form = form};
    ptq_status status = PTQ_OK;
    if (is_simple(text, length, form))
        return buffer_append(c->context, out, text, length);
    for (const char *at = text; at < text + length && !status;)
        status = decompose(&s, ptqi_utf8_next(&at));
    if (!status)
        status = sort_marks(&s);
    if (!status && (form & FORM_COMPOSED))
        compose(c, &s);
    if (!status)
        status = buffer_reserve(c->context, out, 4 * s.count);
    for (int64_t i = 0; i < s.count && !status; i++)
        out->length += ptqi_utf8_put(out->bytes + out->length, CHARACTER(s.all[i]));
    ptqi_free(c->context, s.all);
    return status;
}
