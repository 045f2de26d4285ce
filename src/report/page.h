/*
 * The parts of the page that comparison_write_page writes. A chart is a section with a heading and
 * a sentence how to read it; where there is nothing to draw, the sentence says so.
 *
 * Charts get wider and narrower with the page while their text keeps its size: positions along x
 * are percentages, those along y pixels.
 */
#ifndef PAGE_H
#define PAGE_H

#include "report/comparison.h"
#include "report/html.h"

/* The measures, in their own words. */
#define OUTPUT_ERROR "<span class=\"formula\">|XW \xe2\x88\x92 XQ|\xc2\xb2 / |XW|\xc2\xb2</span>"
#define WEIGHT_ERROR "<span class=\"formula\">|W \xe2\x88\x92 Q|\xc2\xb2 / |W|\xc2\xb2</span>"

void page_ranges(struct html *h, const struct comparison *c);
void page_errors(struct html *h, const struct comparison *c);
void page_choices(struct html *h, const struct comparison *c); /* where auto chose */
void page_sizes(struct html *h, const struct comparison *c);

/* The part of a matrix's name behind its layer's number, as in "model.layers.3.self_attn.q_proj",
 * and the number; NULL where there is none. */
const char *matrix_in_block(const char *name, int64_t *block);
/* Which of the kinds, such as "self_attn.q_proj", a matrix is; -1: none. *block as above. */
int matrix_kind(const char *const *kinds, int count, const char *name, int64_t *block);
/* What stands behind the last dot. */
const char *matrix_last_part(const char *name);

#endif
