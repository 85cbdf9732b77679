/*
 * command.h - tables of command lines: what a shell is given, and exactly what comes of it. A test sets up a node, if it wants
 * one, and runs rows in order; the commands find `troupe` in the path, and the node in $TROUPE_DIR.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>
#include <sys/types.h>

/* In `out` and `err` a '*' is any text (ids, process numbers); NULL: it does not matter. */
struct command_row {
    const char *line; /* for sh */
    int exit_code;
    const char *out, *err;
};

/* A directory of the test's own, which is the current one from now on; and the node's directory in it, in $TROUPE_DIR. */
void command_begin(void);
/* The same, with a node service there; and with an actor play:Stage of the name "s". */
void command_begin_node(void);
void command_begin_stage(void);
void command_run(const struct command_row *rows, size_t count);
#define COMMAND_RUN(rows) command_run(rows, sizeof rows / sizeof *rows)
/* Ends the node, if there is one, in order; and removes the directory. */
void command_end(void);

#endif
