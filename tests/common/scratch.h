/*
 * scratch.h - a directory of a test's own in /tmp.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

enum { SCRATCH_SIZE = 64 };
/* A new one, mode 0700; `what` is a part of its name. */
void scratch_make(char path[SCRATCH_SIZE], const char *what);
/* With all that is in it, whatever its modes are. */
void scratch_remove(const char *path);

#endif
