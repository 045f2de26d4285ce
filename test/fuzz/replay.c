/*
 * Runs a fuzz target once for each file named, in a program without libFuzzer. The last line is: N
 * passed, N failed, N skipped; an input with a finding ends the program before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"

enum { MOST_BYTES = 1 << 20 };

static void replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    fuzz_require(file != NULL, path);
    uint8_t *whole = malloc(MOST_BYTES);
    fuzz_require(whole != NULL, "there is memory for an input");
    const size_t size = fread(whole, 1, MOST_BYTES, file);
    fclose(file);
    /* Exactly as large as the input, so that reading beyond it is noticed. */
    uint8_t *bytes = realloc(whole, size ? size : 1);
    fuzz_require(bytes != NULL, "there is memory for an input");
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        fprintf(stderr, "%s\n", argv[i]);
        replay(argv[i]);
    }
    printf("%d passed, 0 failed, 0 skipped\n", argc - 1);
    return 0;
}
