/*
 * Hand-written versions of the regular expressions that split text into the pieces that BPE works
 * on.
 *
 * Each function takes valid, non-empty UTF-8 and returns the end of its first piece. Text that the
 * expression does not match, up to the next match, is also a piece. The expressions do not look
 * beyond end: for them, an earlier split is the end of the text.
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
/* Each digit separately. */
split_function split_each_digit;
/* Runs of digits. */
split_function split_digits;
/* No split. */
split_function split_nowhere;

#endif
