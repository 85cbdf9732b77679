/*
 * modules.h - what modules.c, modules_check.c, modules_describe.c, modules_file.c and modules_names.c share: a module as it was loaded. Nobody else includes
 * it: runtime.h and invoke.h have what may be asked.
 */
#ifndef TRI_MODULES_H
#define TRI_MODULES_H

#include "actors/checks.h"
#include "actors/invoke.h"

enum {
    TRI_MODULE_ROWS_MAX = 4096, /* of a table: one without its zero row is noticed */
};

struct tri_class_info {
    const trp_class *row;
    bool has_init;
    struct tri_callable init;
    struct tri_callable *methods; /* by name */
    size_t method_count;
};
struct tri_task_info {
    const trp_function *row;
    struct tri_callable callable;
    char *name; /* "module:function" */
};
struct tri_loaded {
    struct tri_loaded *next;
    const trp_module *module;
    bool shown; /* tri_modules_describe has visited it */
    struct tri_class_info *classes;
    size_t class_count;
    struct tri_task_info *tasks; /* by name */
    size_t task_count;
};

/* kept.c: the module that is no file */
extern const trp_module troupe_module_troupe;

/* modules_check.c */
/* TRP_EMODULE: each field of the stamp that differs, with both numbers. `origin`: the file, for the text. */
trp_err tri_module_check_stamp(const trp_module *module, const char *name, const char *origin, trp_error *error);
/* Checks all rows and makes what is looked up. TRP_EMODULE: which row, and why; TRP_ENOMEM. */
trp_err tri_loaded_new(const trp_module *module, struct tri_loaded **loaded, trp_error *error);
void tri_loaded_free(struct tri_loaded **loaded);

/* modules_file.c: whether `path`, called `shown` in sentences, is a whole shared object for this machine that describes the module
 * `name`. TRP_EMODULE; TRP_EACCES: it cannot be read. */
trp_err tri_module_file_check(const char *path, const char *shown, const char *name, trp_error *error);

/* modules_names.c */
/* The next directory of the path at *rest; false: no more. Empty ones are left out. */
bool tri_path_next(const char **rest, char *directory, size_t size);
/* "NAME.so": *length is the name's. */
bool tri_is_module_file(const char *file, size_t *length);
/* Appends ", text" to a list that is cut with "..." where it would be too long. */
void tri_list_add(char *list, size_t size, const char *text, int length);
/* TRP_ENOENT: what there is instead, and which was probably meant, else `remedy`. */
trp_err tri_no_such_module(const char *name, const char *path, const trp_module *const *linked, const char *remedy,
                           trp_error *error);

/* modules.c */
trp_err tri_module_load_file(const char *file, const trp_module **module, trp_error *error); /* trp_test_load */
/* Newest first; they are never taken out before tri_modules_destroy */
struct tri_loaded *tri_modules_first(struct tri_modules *modules);

#endif
