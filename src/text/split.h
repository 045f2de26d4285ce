/*
 * The regular expressions that cut text into the pieces that BPE works on, written out by hand.
 *
 * Each function takes valid UTF-8 that is not empty and returns where its first piece ends. What
 * the expression does not match is a piece too, up to the next match. The expressions look no
 * further than end: an earlier cut is the end of the text for them.
 */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

typedef const char *split_function(const char *at, const char *end);

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
split_function split_gpt2;
/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
   \s*[\r\n]+|\s+(?!\S)|\s+ */
split_function split_llama3;
/* The same with \p{N} instead of \p{N}{1,3}. */
split_function split_qwen2;
/* " ?[^(\s|[.,!?...])]+": the class also excludes ( | ) and the punctuation of other scripts. */
split_function split_bloom;
/* Every digit by itself. */
split_function split_each_digit;
/* Digits in a row together. */
split_function split_digits;
/* No cut at all. */
split_function split_nowhere;

#endif
