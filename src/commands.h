/* The subcommands: they take the arguments after the subcommand's name and return the exit status.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

int command_quantize(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_convert(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_layer(int argc, char **argv);
int command_bench(int argc, char **argv);

#endif
