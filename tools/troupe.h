/*
 * troupe.h - what the command's verbs share. Private to tools/. The command is one thread and uses the public interface
 * only.
 */
#ifndef TRI_TROUPE_H
#define TRI_TROUPE_H

#include <stdbool.h>
#include <stddef.h>

enum { TRI_EXIT_OK = 0, TRI_EXIT_FAILED = 1, TRI_EXIT_USAGE = 2 };

/* A verb: argv[0] is its name. Returns the exit code. */
typedef int tri_verb_fn(int argc, char **argv);
struct tri_verb {
    const char *name;
    const char *about;
    tri_verb_fn *run;
};

tri_verb_fn tri_cmd_bench, tri_cmd_version;

/* The word of `words` (ended by NULL) that was probably meant; NULL: none is near. */
const char *tri_suggest(const char *typed, const char *const *words);
/* "troupe: unknown verb 'benc'; did you mean 'bench'?" to stderr. */
void tri_unknown(const char *kind, const char *typed, const char *const *words);

#endif
