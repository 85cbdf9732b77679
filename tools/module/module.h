/*
 * module.h - what the files of `troupe module` share. Private to tools/module/. One thread.
 *
 *     new.c, templates.c   writes a module with its build and its test
 *     build.c              meson, called so that hosts load what it makes
 *     file.c               what a module's file is called
 *     inspect.c, show.c    what a module offers, asked in a process of its own; and that for people
 *     files.c              the files in a module path (files.h)
 *     test.c, calls.c      the conformance run
 *     parameters.c         the parameters of a description, and values that fit them, or do not
 */
#ifndef TRI_MODULE_TOOLS_H
#define TRI_MODULE_TOOLS_H

#include "tools/verbs/verbs.h"

enum { TRI_MODULE_NAME_SIZE = 64, TRI_PARAMETERS_MAX = 32 };

/* A C identifier of 1 to 63 bytes, as modules are named. */
bool tri_is_module_name(const char *name, size_t size);

/* file.c: whether `path` can be read, and is called as a module's file is. Else it is said. */
int tri_module_file(struct tri_cli *cli, const char *path);

/* inspect.c: the description of the module in `path`: a MAP, kept in `values`. It is loaded in a process of its own. */
int tri_module_describe(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value *module);
/* The same without a word: why not is in *error, unless it is TRI_EXIT_STOPPED. */
int tri_module_ask(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value *module,
                   trp_error *error);
/* show.c */
void tri_module_show(struct tri_cli *cli, const char *path, trp_value module);

/* parameters.c: one of "name:s, labels:[i]=[]" */
struct tri_parameter {
    char name[64];
    char picture[64];
    char fallback[64]; /* the default's JSON, cut; "": it is needed */
};
struct tri_parameters {
    struct tri_parameter list[TRI_PARAMETERS_MAX];
    size_t count;
    bool open; /* ends in "..." */
};
/* Of a description that the loader has taken. */
void tri_parameters_read(const char *description, struct tri_parameters *parameters);

/* Values for pictures; what they point to lives in the arena. `other` and `object`: for a and r, NULL: there is none. */
struct tri_samples {
    trp_actor *other;
    trp_ref *object;
    trp_value items[256];
    size_t used;
};
/* Number `turn` of those that fit: 0 is plain, the others are odd (empty, huge, negative...); TRI_TURNS of them. TRP_NONE: nothing
 * can be made up. */
enum { TRI_TURNS = 4 };
trp_value tri_sample(struct tri_samples *samples, const char *picture, int turn);
/* One that does not fit; TRP_NONE: everything does. */
trp_value tri_misfit(const char *picture);

#endif
