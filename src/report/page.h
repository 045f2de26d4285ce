/*
 * The parts of the page that comparison_write_page writes. A chart is a section with a heading and
 * a sentence on how to read it; if there is nothing to draw, the sentence says so.
 *
 * Charts scale with the width of the page while their text keeps its size: x positions are
 * percentages, y positions are pixels.
 */
#ifndef PAGE_H
#define PAGE_H

#include "report/comparison.h"
#include "report/html.h"

/* The measured values, as text. */
#define OUTPUT_ERROR "<span class=\"formula\">|XW \xe2\x88\x92 XQ|\xc2\xb2 / |XW|\xc2\xb2</span>"
#define WEIGHT_ERROR "<span class=\"formula\">|W \xe2\x88\x92 Q|\xc2\xb2 / |W|\xc2\xb2</span>"

void page_ranges(struct html *h, const struct comparison *c);
void page_errors(struct html *h, const struct comparison *c);
void page_choices(struct html *h, const struct comparison *c); /* for rows with auto */
void page_sizes(struct html *h, const struct comparison *c);

#endif
