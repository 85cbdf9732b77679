/* program.h - running other programs. Private to tools/. */
#ifndef TRI_PROGRAM_H
#define TRI_PROGRAM_H

#include "tools/cli/cli.h"

/* Whether it would be found and could be run, so that its own 126 and 127 are told from ours. */
int tri_program_check(struct tri_cli *cli, const char *program);
/* Runs it, with `variable` in its environment: its exit code; 128 and the signal's number, which is said. `words` ends with a
 * NULL, as args->operands does. */
int tri_program_run(struct tri_cli *cli, char **words, const char *variable, const char *value);

#endif
