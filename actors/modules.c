/*
 * modules.c - the loader: finds modules by name, in libtroupe ("troupe", the node's own), in the program itself or in
 * directories that belong to the node's owner, loads each once and for good (never dlclose: its functions are everywhere), and looks up what they offer. Any thread: a
 * lock of its own. It must not know about processes and calls.
 */
#include "actors/modules.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/crash.h"

#ifndef TRI_MODULE_DIR
#define TRI_MODULE_DIR "/usr/local/lib/troupe/modules"
#endif

struct tri_modules {
    pthread_mutex_t lock;
    char *path;
    char remedy[320];
    const trp_module **linked; /* ended by NULL */
    struct tri_loaded *first;
};

static const trp_module **
copy_linked(const trp_module *const *linked)
{
    size_t count = 0;
    while (linked != NULL && linked[count] != NULL)
        count++;
    const trp_module **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        copy[i] = linked[i];
    return copy;
}

trp_err
tri_modules_new(const char *path, const char *remedy, const trp_module *const *linked, struct tri_modules **modules,
                trp_error *error)
{
    if (path == NULL)
        path = getenv("TRP_MODULE_PATH");
    if (path == NULL)
        path = TRI_MODULE_DIR;
    struct tri_modules *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->path = strdup(path);
        made->linked = copy_linked(linked);
    }
    if (made == NULL || made->path == NULL || made->linked == NULL) {
        if (made != NULL) {
            free(made->path);
            free(made->linked);
        }
        free(made);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the module path");
    }
    pthread_mutex_init(&made->lock, NULL);
    (void)tri_text_copy(made->remedy, sizeof made->remedy, remedy);
    *modules = made;
    return TRP_OK;
}

void
tri_modules_destroy(struct tri_modules **modules)
{
    struct tri_modules *freed = *modules;
    *modules = NULL;
    if (freed == NULL)
        return;
    while (freed->first != NULL) {
        struct tri_loaded *loaded = freed->first;
        freed->first = loaded->next;
        tri_loaded_free(&loaded);
    }
    pthread_mutex_destroy(&freed->lock);
    free(freed->path);
    free(freed->linked);
    free(freed);
}

/* ---------------------------------------------------------------------------------------------------------- trust */

/* Code is loaded only from where nobody else can put it. */
static trp_err
check_owner(const char *path, trp_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot look at %s", path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return TRI_FAIL(error, TRP_EACCES,
                        "%s belongs to user %u; modules are loaded only from what you or root own: chown it", path,
                        (unsigned)status.st_uid);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return TRI_FAIL(error, TRP_EACCES,
                        "%s can be written by others (mode %04o), so it is not loaded: chmod go-w %s", path,
                        (unsigned)status.st_mode & 07777, path);
    return TRP_OK;
}

static trp_err
check_trust(const char *directory, const char *file, trp_error *error)
{
    char parent[PATH_MAX];
    TRP_TRY(check_owner(directory, error));
    TRP_TRY(check_owner(file, error));
    tri_text_copy(parent, sizeof parent, file);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent)
        return TRP_OK;
    *slash = '\0';
    return check_owner(parent, error); /* where a symbolic link led */
}

/* -------------------------------------------------------------------------------------------------------- loading */

/* `shown`: how the user knows it. */
static trp_err
open_file(const char *name, const char *file, const char *shown, const trp_module **module, trp_error *error)
{
    char symbol[TRI_MODULE_NAME_MAX + 32];
    TRP_TRY(tri_module_file_check(file, shown, name, error));
    tri_crash_loads(file);
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return TRI_FAIL(error, TRP_EMODULE, "module '%s' cannot be loaded: %s", name, dlerror());
    snprintf(symbol, sizeof symbol, "troupe_module_%s", name);
    const trp_module *found = dlsym(handle, symbol);
    if (found == NULL)
        return TRI_FAIL(error, TRP_EMODULE, "%s has no symbol %s; it has to end with TRP_MODULE(%s, ...)", file, symbol,
                        name);
    TRP_TRY(tri_module_check_stamp(found, name, file, error));
    *module = found;
    return TRP_OK;
}

static trp_err
find_module(const struct tri_modules *modules, const char *name, const trp_module **module, trp_error *error)
{
    char directory[PATH_MAX], file[PATH_MAX + TRI_MODULE_NAME_MAX + 8], real[PATH_MAX];
    if (strcmp(name, troupe_module_troupe.name) == 0) {
        *module = &troupe_module_troupe;
        return TRP_OK;
    }
    for (size_t i = 0; modules->linked[i] != NULL; i++) {
        const trp_module *candidate = modules->linked[i];
        if (candidate->name == NULL || strcmp(candidate->name, name) != 0)
            continue;
        TRP_TRY(tri_module_check_stamp(candidate, name, "the program", error));
        *module = candidate;
        return TRP_OK;
    }
    for (const char *rest = modules->path; tri_path_next(&rest, directory, sizeof directory);) {
        snprintf(file, sizeof file, "%s/%s.so", directory, name);
        if (realpath(file, real) == NULL) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue;
            return tri_fail_system(error, TRP_EACCES, errno, "cannot look at %s", file);
        }
        TRP_TRY(check_trust(directory, real, error));
        return open_file(name, real, file, module, error);
    }
    return tri_no_such_module(name, modules->path, modules->linked, modules->remedy, error);
}

/* "module:row": loads the module unless it is. With the lock. */
static trp_err
load(struct tri_modules *modules, const char *full, const char *form, struct tri_loaded **loaded, const char **row,
     trp_error *error)
{
    char name[TRI_MODULE_NAME_MAX + 1];
    const trp_module *module;
    TRP_TRY(tri_check_path("the name", full, form, error));
    *row = strchr(full, ':') + 1;
    snprintf(name, sizeof name, "%.*s", (int)(*row - 1 - full), full);
    for (*loaded = modules->first; *loaded != NULL; *loaded = (*loaded)->next)
        if (strcmp((*loaded)->module->name, name) == 0)
            return TRP_OK;
    TRP_TRY(find_module(modules, name, &module, error));
    TRP_TRY(tri_loaded_new(module, loaded, error));
    (*loaded)->next = modules->first;
    modules->first = *loaded;
    if (module->seed != NULL)
        module->seed(0);
    return TRP_OK;
}

trp_err
tri_module_load_file(const char *file, const trp_module **module, trp_error *error)
{
    char real[PATH_MAX], directory[PATH_MAX], name[TRI_MODULE_NAME_MAX + 1];
    const char *base = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;
    struct tri_loaded *loaded = NULL;
    const trp_module *found = NULL;
    size_t length;
    if (!tri_is_module_file(base, &length))
        return TRI_FAIL(error, TRP_EINVAL,
                        "'%.200s' is not the name of a module's file: \"NAME.so\", the name a C identifier of at most "
                        "%d bytes",
                        base, (int)TRI_MODULE_NAME_MAX);
    snprintf(name, sizeof name, "%.*s", (int)length, base);
    if (realpath(file, real) == NULL)
        return tri_fail_system(error, errno == ENOENT || errno == ENOTDIR ? TRP_ENOENT : TRP_EACCES, errno,
                               "cannot look at %s", file);
    snprintf(directory, sizeof directory, "%.*s", (int)(base - file), file);
    TRP_TRY(check_trust(directory[0] != '\0' ? directory : ".", real, error));
    TRP_TRY(open_file(name, real, file, &found, error));
    TRP_TRY(tri_loaded_new(found, &loaded, error));
    tri_loaded_free(&loaded);
    *module = found;
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------- looking up */

/* A list of names is cut where a sentence would be too long. */
enum { NAMES_SIZE = 400 };

static trp_err
no_such_row(const struct tri_loaded *loaded, const char *what, const char *row, const char *names, trp_error *error)
{
    return TRI_FAIL(error, TRP_ENOENT, "module '%s' has no %s '%.200s'; it has %s", loaded->module->name, what, row,
                    names[0] != '\0' ? names : "none");
}

static trp_err
find_class(struct tri_modules *modules, const char *name, const trp_module **module, const trp_class **class_row,
           trp_error *error)
{
    struct tri_loaded *loaded;
    const char *row;
    char names[NAMES_SIZE] = "";
    TRP_TRY(load(modules, name, "module:Class", &loaded, &row, error));
    for (size_t i = 0; i < loaded->class_count; i++) {
        const trp_class *found = loaded->classes[i].row;
        if (strcmp(found->name, row) == 0) {
            *module = loaded->module;
            *class_row = found;
            return TRP_OK;
        }
        tri_list_add(names, sizeof names, found->name, (int)strlen(found->name));
    }
    return no_such_row(loaded, "class", row, names, error);
}

static int
compare_task(const void *name, const void *info)
{
    return strcmp(name, ((const struct tri_task_info *)info)->row->name);
}

static trp_err
find_task(struct tri_modules *modules, const char *name, const struct tri_callable **callable, trp_error *error)
{
    struct tri_loaded *loaded;
    const char *row;
    char names[NAMES_SIZE] = "";
    TRP_TRY(load(modules, name, "module:function", &loaded, &row, error));
    const struct tri_task_info *found =
        loaded->task_count == 0 ? NULL
                                : bsearch(row, loaded->tasks, loaded->task_count, sizeof *loaded->tasks, compare_task);
    if (found != NULL) {
        *callable = &found->callable;
        return TRP_OK;
    }
    for (size_t i = 0; i < loaded->task_count; i++)
        tri_list_add(names, sizeof names, loaded->tasks[i].row->name, (int)strlen(loaded->tasks[i].row->name));
    return no_such_row(loaded, "task", row, names, error);
}

trp_err
tri_modules_class(struct tri_modules *modules, const char *name, const trp_module **module, const trp_class **row,
                  trp_error *error)
{
    pthread_mutex_lock(&modules->lock);
    trp_err err = find_class(modules, name, module, row, error);
    pthread_mutex_unlock(&modules->lock);
    return err;
}

trp_err
tri_modules_find_task(struct tri_modules *modules, const char *name, const struct tri_callable **callable,
                      trp_error *error)
{
    pthread_mutex_lock(&modules->lock);
    trp_err err = find_task(modules, name, callable, error);
    pthread_mutex_unlock(&modules->lock);
    return err;
}

/* The class that a row was made into; rows are found by address. */
static const struct tri_class_info *
class_of(struct tri_modules *modules, const trp_class *row)
{
    const struct tri_class_info *found = NULL;
    pthread_mutex_lock(&modules->lock);
    for (struct tri_loaded *loaded = modules->first; loaded != NULL && found == NULL; loaded = loaded->next)
        for (size_t i = 0; i < loaded->class_count && found == NULL; i++)
            if (loaded->classes[i].row == row)
                found = &loaded->classes[i];
    pthread_mutex_unlock(&modules->lock);
    TRI_ASSERT(found != NULL);
    return found;
}

const struct tri_callable *
tri_modules_find_init(struct tri_modules *modules, const trp_class *class_row)
{
    const struct tri_class_info *info = class_of(modules, class_row);
    return info->has_init ? &info->init : NULL;
}

static int
compare_method(const void *name, const void *callable)
{
    return strcmp(name, ((const struct tri_callable *)callable)->name);
}

trp_err
tri_modules_find_method(struct tri_modules *modules, const trp_class *class_row, const char *name,
                        const struct tri_callable **callable, trp_error *error)
{
    const struct tri_class_info *info = class_of(modules, class_row);
    char names[NAMES_SIZE] = "";
    const struct tri_callable *found =
        bsearch(name, info->methods, info->method_count, sizeof *info->methods, compare_method);
    if (found != NULL) {
        *callable = found;
        return TRP_OK;
    }
    for (size_t i = 0; i < info->method_count; i++)
        tri_list_add(names, sizeof names, info->methods[i].name, (int)strlen(info->methods[i].name));
    return TRI_FAIL(error, TRP_ENOMETHOD, "class %s has no method '%.200s'; it has %s", class_row->name, name,
                    names[0] != '\0' ? names : "none");
}

struct tri_loaded *
tri_modules_first(struct tri_modules *modules)
{
    pthread_mutex_lock(&modules->lock);
    struct tri_loaded *first = modules->first;
    pthread_mutex_unlock(&modules->lock);
    return first;
}
