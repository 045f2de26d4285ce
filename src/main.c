/*
 * The ptq command.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"quantize", command_quantize, "a Hugging Face model in, a quantized model out"},
    {"convert", command_convert, "a quantized model in another format"},
    {"diff", command_diff, "two checkpoints of a model, matrix by matrix"},
    {"eval", command_eval, "perplexity of a model, quantized or not"},
    {"generate", command_generate, "continue a text"},
    {"compare", command_compare, "every method side by side on one model"},
    {"inspect", command_inspect, "the contents of a model or a file"},
    {"tokenize", command_tokenize, "the ids of a text, and back"},
    {"layer", command_layer, "quantize one matrix and compare it"},
    {"bench", command_bench, "the speed of the kernels, compared with the machine's limits"},
};
enum { COUNT = sizeof commands / sizeof *commands };

static void print_usage(FILE *to)
{
    fprintf(to, "usage: ptq COMMAND [options]     more: ptq COMMAND --help\n\n");
    for (int i = 0; i < COUNT; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
}

/* Opens file descriptors 0, 1 and 2 if they are closed, so no other file becomes one of the
 * standard files, which messages go to. Reading or writing them then fails. */
static void open_standard_files(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

/* Whether the reader of the standard output is gone; poll reports this for pipes. */
static int is_unread(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) > 0 && (output.revents & POLLERR);
}

/* If the reader is gone, the command dies quietly, like others. */
static int finish_output(void)
{
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    if (is_unread())
        raise(SIGPIPE);
    fprintf(stderr, "ptq: cannot write to the standard output\n");
    return EXIT_FAILED;
}

static int print_version(void)
{
    int32_t v = ptq_version();
    printf("ptq %d.%d.%d\n", v / 10000, v / 100 % 100, v % 100);
    return 0;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version"))
        return print_version();
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(argv[1], commands[i].name)) {
            const int status = commands[i].run(argc - 2, argv + 2);
            return status < 0 ? 0 : status;
        }
    fprintf(stderr, "ptq: there is no command \"%s\" (ptq --help lists them)\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    open_standard_files();
    signal(SIGXFSZ, SIG_IGN); /* a file that is too large is then an error, like a full disk */
    const int status = run(argc, argv);
    return finish_output() ? EXIT_FAILED : status;
}
