/*
 * child.h - a program that a test starts: a node, a driver. It gets SIGTERM when the thread that started it is gone, however
 * that came about, and a node that gets it ends with all its processes and files: so a test that is killed leaves none.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* argv[0] is its path. *out: the end of a pipe that is its stdout; NULL: it has ours. -1: errno says why not. */
pid_t child_start(const char *const *argv, int *out);
/* Whether the first line that it says, within 20 s, begins with READY. What it said is in `line`. */
bool child_is_ready(int out, char *line, size_t size);
/* A node service in `directory`, ready, with the modules of $TRP_MODULE_PATH. `more`: further arguments, ended by NULL, or NULL.
 * -1: `line` has what it said instead. */
pid_t child_start_node(const char *directory, const char *const *more, char *line, size_t size);
/* SIGTERM, and it has ended: with 0? */
bool child_end(pid_t pid);

#endif
