/*
 * ptq: the command.
 */
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"quantize", command_quantize, "a Hugging Face model in, a quantized model out"},
    {"eval", command_eval, "perplexity of a model, quantized or not"},
    {"compare", command_compare, "every method side by side on one model"},
    {"inspect", command_inspect, "what a model or a file holds"},
    {"layer", command_layer, "quantize one matrix and compare it"},
    {"bench", command_bench, "how fast the kernels run here, against the machine's limits"},
};
enum { COUNT = sizeof commands / sizeof *commands };

static void print_usage(FILE *to)
{
    fprintf(to, "usage: ptq COMMAND [options]     ptq COMMAND --help tells more\n\n");
    for (int i = 0; i < COUNT; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        int32_t v = ptq_version();
        printf("ptq %d.%d.%d\n", v / 10000, v / 100 % 100, v % 100);
        return 0;
    }
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(argv[1], commands[i].name)) {
            int status = commands[i].run(argc - 2, argv + 2);
            if (fflush(stdout) || ferror(stdout)) {
                fprintf(stderr, "ptq: cannot write to the standard output\n");
                return EXIT_FAILED;
            }
            return status < 0 ? 0 : status;
        }
    fprintf(stderr, "ptq: there is no command \"%s\" (ptq --help lists them)\n", argv[1]);
    return EXIT_USAGE;
}
