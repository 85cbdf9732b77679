/* test_modules.c - what the loader takes and what it refuses, with which words. Modules come from tests/modules. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/modules.h"

static struct tri_modules *modules;
static trp_error error;

static void
open_path(const char *path, const trp_module *const *linked)
{
    cr_assert_eq(tri_modules_new(path, "set it right", linked, &modules, &error), TRP_OK, "%s", error.message);
}

static trp_err
find_class(const char *name)
{
    const trp_module *module;
    const trp_class *row;
    return tri_modules_class(modules, name, &module, &row, &error);
}

static trp_err
find_task(const char *name)
{
    const struct tri_callable *callable;
    return tri_modules_find_task(modules, name, &callable, &error);
}

static void
says(const char *words)
{
    cr_expect(strstr(error.message, words) != NULL, "wanted '%s' in: %s", words, error.message);
}

/* ------------------------------------------------------------------------------------------------------------------ files */

Test(modules, a_module_is_found_in_the_path_and_loaded_once)
{
    const trp_module *first, *second;
    const trp_class *row;
    char path[1024];
    snprintf(path, sizeof path, "::/nowhere:%s", TEST_MODULE_DIR);
    open_path(path, NULL);
    cr_assert_eq(tri_modules_class(modules, "trouble:Trouble", &first, &row, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(row->name, "Trouble");
    cr_assert_eq(tri_modules_class(modules, "trouble:Stillborn", &second, &row, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(first, second);
    cr_expect_eq(find_task("trouble:slow"), TRP_OK, "%s", error.message);
    tri_modules_destroy(&modules);
}

/* Every name that finds nothing usable, with the code and the words that say why. */
Test(modules, names_that_are_refused)
{
    static const struct {
        const char *name;
        bool task;
        trp_err err;
        const char *says;
    } rows[] = {
        {"trouble", false, TRP_EINVAL, "module:Class"},
        {"trouble:", false, TRP_EINVAL, "module:Class"},
        {":slow", true, TRP_EINVAL, "module:function"},
        {"../trouble:Trouble", false, TRP_EINVAL, "module:Class"},
        {"tr/ouble:Trouble", false, TRP_EINVAL, "module:Class"},
        {"nomodule:X", false, TRP_ENOENT, "trouble"},
        {"nomodule:X", false, TRP_ENOENT, "nomodule"},
        {"nomodule:x", true, TRP_ENOENT, TEST_MODULE_DIR},
        {"nomodule:x", true, TRP_ENOENT, "; set it right"},
        {"trouble:Nobody", false, TRP_ENOENT, "it has Trouble, Stillborn"},
        {"trouble:nothing", true, TRP_ENOENT, "slow"},
        {"gate:nothing", true, TRP_ENOENT, "it has none"},
        {"bad_stamp:X", false, TRP_EMODULE, "abi is 0x00020000, wanted 0x00010000"},
        {"bad_stamp:X", false, TRP_EMODULE, "class_size is"},
        {"bad_name:X", false, TRP_EMODULE, "calls itself 'good_name'"},
        {"bad_symbol:missing", true, TRP_EMODULE, "nobody_has_this_function"},
        {"bad_empty:x", true, TRP_EMODULE, "troupe_module_bad_empty"},
        {"bad_rows:Broken", false, TRP_EMODULE, "Broken.broken"},
        {"bad_rows:Broken", false, TRP_EMODULE, "x:q"},
    };
    open_path(TEST_MODULE_DIR, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trp_err err = rows[i].task ? find_task(rows[i].name) : find_class(rows[i].name);
        cr_expect_eq(err, rows[i].err, "%s gave %d", rows[i].name, (int)err);
        says(rows[i].says);
    }
    tri_modules_destroy(&modules);
}

static void
copy_module(const char *from, const char *to)
{
    char command[2048];
    snprintf(command, sizeof command, "cp '%s/%s' '%s'", TEST_MODULE_DIR, from, to);
    cr_assert_eq(system(command), 0);
}

/* Directories and files that others could write, or that belong to somebody else. */
Test(modules, what_others_could_have_written_is_not_loaded)
{
    static const struct {
        mode_t directory, file;
        uid_t owner; /* of the file; 0: who tests */
        trp_err err;
        const char *says;
    } rows[] = {
        {0755, 0644, 0, TRP_OK, NULL},
        {0700, 0400, 0, TRP_OK, NULL},
        {0775, 0644, 0, TRP_EACCES, "chmod go-w"},
        {0757, 0644, 0, TRP_EACCES, "chmod go-w"},
        {0755, 0664, 0, TRP_EACCES, "trouble.so"},
        {0755, 0646, 0, TRP_EACCES, "chmod go-w"},
        {0755, 0644, 12345, TRP_EACCES, "belongs to user 12345"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char directory[] = "/tmp/troupe-modules-XXXXXX", file[64];
        cr_assert_not_null(mkdtemp(directory));
        snprintf(file, sizeof file, "%s/trouble.so", directory);
        copy_module("trouble.so", file);
        cr_assert_eq(chmod(file, rows[i].file), 0);
        cr_assert_eq(chmod(directory, rows[i].directory), 0);
        if (rows[i].owner == 0 || chown(file, rows[i].owner, (gid_t)-1) == 0) { /* only root can give files away */
            open_path(directory, NULL);
            trp_err err = find_class("trouble:Trouble");
            cr_expect_eq(err, rows[i].err, "row %zu gave %d: %s", i, (int)err, error.message);
            if (rows[i].says != NULL)
                says(rows[i].says);
            tri_modules_destroy(&modules);
        }
        unlink(file);
        rmdir(directory);
    }
}

Test(modules, a_link_is_trusted_as_what_it_leads_to)
{
    char open_directory[] = "/tmp/troupe-open-XXXXXX", directory[] = "/tmp/troupe-links-XXXXXX", file[64], link[64];
    cr_assert_not_null(mkdtemp(open_directory));
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/trouble.so", open_directory);
    snprintf(link, sizeof link, "%s/trouble.so", directory);
    copy_module("trouble.so", file);
    cr_assert_eq(chmod(open_directory, 0777), 0);
    cr_assert_eq(symlink(file, link), 0);
    open_path(directory, NULL);
    cr_expect_eq(find_class("trouble:Trouble"), TRP_EACCES);
    says(open_directory);
    tri_modules_destroy(&modules);
    unlink(file);
    unlink(link);
    rmdir(directory);
    rmdir(open_directory);
}

/* ------------------------------------------------------------------------------------------------------------------- rows */

static trp_err
method(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return TRP_OK;
}

static trp_err
task(trp_ctx *ctx)
{
    (void)ctx;
    return TRP_OK;
}

static const trp_method good[] = {{.name = "one", .fn = method}, {.name = "another", .fn = method, .args = "x:i"}, {0}};

#define CLASSES(...)                                                                                                   \
    .classes = (const trp_class[])                                                                                     \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define TASKS(...)                                                                                                     \
    .tasks = (const trp_function[])                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define METHODS(...)                                                                                                   \
    .methods = (const trp_method[])                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

/* A module with each kind of bad row, and what has to be said of it. */
static const struct {
    trp_module module;
    const char *says;
} bad[] = {
    {{CLASSES({.name = "", .methods = good})}, "not allowed"},
    {{CLASSES({.name = "A:B", .methods = good})}, "A:B"},
    {{CLASSES({.name = "A", .methods = good}, {.name = "A", .methods = good})}, "class 'A' twice"},
    {{CLASSES({.name = "A", .methods = good, .max_concurrency = 100000})}, "max_concurrency 100000"},
    {{CLASSES({.name = "A", .methods = good, .init_args = "x:i"})}, "init_args but no init"},
    {{CLASSES({.name = "A", .init = method, .init_args = "x", .methods = good})}, "A.init"},
    {{CLASSES({.name = "A", METHODS({.name = "m"})})}, "A.m has no function"},
    {{CLASSES({.name = "A", METHODS({.name = "m", .fn = method}, {.name = "m", .fn = method})})}, "'m' twice"},
    {{CLASSES({.name = "A", METHODS({.name = "m m", .fn = method})})}, "m m"},
    {{CLASSES({.name = "A", METHODS({.name = "m", .fn = method, .args = "x:[i"})})}, "x:[i"},
    {{TASKS({.name = "t"})}, "t has no function"},
    {{TASKS({.name = "t", .fn = task}, {.name = "t", .fn = task})}, "'t' twice"},
    {{TASKS({.name = "t", .fn = task, .args = "x:i, x:i"})}, "x:i, x:i"},
    {{TASKS({.name = "t", .fn = task, .args = "x:i=\"one\""})}, "t"},
    {{TASKS({.name = "t", .fn = task, .num_gpus = -1})}, "GPUs"},
    {{TASKS({.name = "t", .fn = task, .max_retries = -2})}, "max_retries -2"},
    {{TASKS({.name = "t", .fn = task, .max_retries = 2, .no_retries = true})}, "no_retries"},
};

Test(modules, bad_rows_are_refused_by_name_and_reason)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        trp_module module = bad[i].module;
        const trp_module *const linked[] = {&module, NULL};
        module.stamp = (trp_stamp)TRP_STAMP_;
        module.name = "bad";
        open_path("", linked);
        trp_err err = find_class("bad:A");
        cr_expect_eq(err, TRP_EMODULE, "row %zu gave %d: %s", i, (int)err, error.message);
        says("module 'bad'");
        says(bad[i].says);
        tri_modules_destroy(&modules);
    }
}

Test(modules, rows_without_their_end_are_noticed)
{
    trp_method *many = calloc(TRI_MODULE_ROWS_MAX + 2, sizeof *many);
    for (size_t i = 0; i < TRI_MODULE_ROWS_MAX + 2; i++)
        many[i] = (trp_method){.name = "m", .fn = method};
    trp_class classes[] = {{.name = "A", .methods = many}, {0}};
    trp_module module = {.stamp = TRP_STAMP_, .name = "endless", .classes = classes};
    const trp_module *const linked[] = {&module, NULL};
    open_path("", linked);
    cr_expect_eq(find_class("endless:A"), TRP_EMODULE);
    says("zero row");
    tri_modules_destroy(&modules);
    free(many);
}

/* --------------------------------------------------------------------------------------------------------------- looking up */

static const trp_class classes[] = {
    {.name = "A", .about = "an A", .init = method, .init_args = "n:i=1", .methods = good},
    {.name = "B"},
    {0},
};
static const trp_function tasks[] = {{.name = "t", .fn = task, .num_cpus = -1}, {0}};
TRP_MODULE(linked_in, .classes = classes, .tasks = tasks, .version = "3");
static const trp_module *const linked_modules[] = {&troupe_module_linked_in, NULL};

Test(modules, linked_ones_are_found_before_any_file)
{
    const struct tri_callable *callable;
    const trp_module *module;
    const trp_class *row;
    open_path(TEST_MODULE_DIR, linked_modules);
    cr_assert_eq(tri_modules_class(modules, "linked_in:A", &module, &row, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(module, &troupe_module_linked_in);
    cr_assert_eq(tri_modules_find_method(modules, row, "another", &callable, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(callable->name, "another");
    cr_expect_eq(tri_modules_find_method(modules, row, "third", &callable, &error), TRP_ENOMETHOD);
    says("'third'; it has another, one");
    cr_expect_not_null(tri_modules_find_init(modules, row));
    cr_assert_eq(tri_modules_find_task(modules, "linked_in:t", &callable, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(callable->name, "linked_in:t");
    cr_assert_eq(tri_modules_class(modules, "linked_in:B", &module, &row, &error), TRP_OK, "%s", error.message);
    cr_expect_null(tri_modules_find_init(modules, row));
    tri_modules_destroy(&modules);
}

static void
visit(void *user, trp_value map)
{
    size_t *count = user;
    char text[1024];
    (*count)++;
    trp_format(map, text, sizeof text);
    cr_expect_str_eq(trp_as_str(trp_field(map, "name")), "linked_in", "%s", text);
    cr_expect_str_eq(trp_as_str(trp_field(map, "version")), "3");
    trp_value first = trp_at(trp_field(map, "classes"), 0);
    cr_expect_str_eq(trp_as_str(trp_field(first, "init_args")), "n:i=1");
    cr_expect_eq(trp_field(first, "methods").size, 2);
    cr_expect_eq(trp_field(map, "tasks").size, 1);
}

Test(modules, a_module_is_described_once_unless_asked_again)
{
    size_t count = 0;
    open_path("", linked_modules);
    cr_assert_eq(find_class("linked_in:A"), TRP_OK, "%s", error.message);
    (void)tri_modules_describe(modules, false, visit, &count);
    cr_expect_not(tri_modules_describe(modules, false, visit, &count));
    cr_expect_eq(count, 1);
    (void)tri_modules_describe(modules, true, visit, &count);
    cr_expect_eq(count, 2);
    tri_modules_destroy(&modules);
}
