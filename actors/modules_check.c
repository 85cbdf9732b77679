/*
 * modules_check.c - is what a module says about itself usable? Its stamp, then row for row; and the tables that calls are
 * looked up in, with every description parsed once. Pure. It must not know where modules come from.
 */
#include "actors/modules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAD(error, module, ...) bad_row((error), (module), __VA_ARGS__)

static trp_err bad_row(trp_error *error, const trp_module *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static trp_err
bad_row(trp_error *error, const trp_module *module, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return TRI_FAIL(error, TRP_EMODULE, "module '%s' cannot be used: %s", module->name, text);
}

/* ------------------------------------------------------------------------------------------------------------- stamp */

trp_err
tri_module_check_stamp(const trp_module *module, const char *name, const char *origin, trp_error *error)
{
    static const trp_stamp ours = TRP_STAMP_;
    const trp_stamp *theirs = &module->stamp;
    const struct {
        const char *field;
        unsigned theirs, ours;
    } rows[] = {
        {"abi", theirs->abi, ours.abi},
        {"pointer_size", theirs->pointer_size, ours.pointer_size},
        {"value_size", theirs->value_size, ours.value_size},
        {"module_size", theirs->module_size, ours.module_size},
        {"class_size", theirs->class_size, ours.class_size},
        {"method_size", theirs->method_size, ours.method_size},
        {"function_size", theirs->function_size, ours.function_size},
    };
    char text[400];
    size_t length = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].theirs != rows[i].ours)
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       i == 0 ? "%s%s is 0x%08x, wanted 0x%08x" : "%s%s is %u, wanted %u",
                                       length > 0 ? "; " : "", rows[i].field, rows[i].theirs, rows[i].ours);
    if (length > 0)
        return TRI_FAIL(error, TRP_EMODULE, "module '%s' was built for another version: %s; build %s anew", name, text,
                        origin);
    if (module->name == NULL || strcmp(module->name, name) != 0)
        return TRI_FAIL(error, TRP_EMODULE, "module '%s' calls itself '%s'; name file and TRP_MODULE alike", name,
                        module->name != NULL ? module->name : "");
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------------- rows */

/* What is shown to people: trp_query("modules") carries it. */
static trp_err
check_about(const trp_module *module, const char *what, const char *name, const char *about, trp_error *error)
{
    const size_t size = about != NULL ? strlen(about) : 0;
    const size_t valid = size > 0 ? tri_text_valid(about, size) : 0;
    if (valid < size)
        return BAD(error, module, "%s of %.64s is not UTF-8 at byte %zu", what, name, valid);
    return TRP_OK;
}

static trp_err
make_callable(const trp_module *module, const char *class_name, const char *name, const char *args,
              struct tri_callable *callable, trp_error *error)
{
    trp_error why;
    callable->module = module;
    callable->class_name = class_name;
    callable->name = name;
    trp_err err = tri_signature_parse(args != NULL ? args : "", &callable->signature, &why);
    if (err == TRP_ENOMEM)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    if (err != TRP_OK)
        return BAD(error, module, "the arguments of %s%s%s, \"%s\": %s", class_name, class_name[0] != '\0' ? "." : "",
                   name, args, why.message);
    return TRP_OK;
}

static int
compare_methods(const void *a, const void *b)
{
    return strcmp(((const struct tri_callable *)a)->name, ((const struct tri_callable *)b)->name);
}

static int
compare_tasks(const void *a, const void *b)
{
    return strcmp(((const struct tri_task_info *)a)->row->name, ((const struct tri_task_info *)b)->row->name);
}

static trp_err
check_method(const trp_module *module, const trp_class *row, const trp_method *method, struct tri_callable *callable,
             trp_error *error)
{
    if (!tri_row_name_ok(method->name, strlen(method->name)))
        return BAD(error, module, "class %s has a method with the name '%.64s', which is not allowed", row->name,
                   method->name);
    if (method->fn == NULL)
        return BAD(error, module, "method %s.%s has no function", row->name, method->name);
    TRP_TRY(check_about(module, "about", method->name, method->about, error));
    callable->method = method->fn;
    return make_callable(module, row->name, method->name, method->args, callable, error);
}

static trp_err
check_methods(const trp_module *module, struct tri_class_info *info, trp_error *error)
{
    const trp_class *row = info->row;
    size_t count = 0;
    while (row->methods != NULL && row->methods[count].name != NULL)
        if (++count > TRI_MODULE_ROWS_MAX)
            return BAD(error, module, "the methods of class %s do not end with a zero row", row->name);
    if (count == 0)
        return TRP_OK;
    info->methods = calloc(count, sizeof *info->methods);
    if (info->methods == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    info->method_count = count;
    for (size_t i = 0; i < count; i++)
        TRP_TRY(check_method(module, row, &row->methods[i], &info->methods[i], error));
    qsort(info->methods, count, sizeof *info->methods, compare_methods);
    for (size_t i = 1; i < count; i++)
        if (strcmp(info->methods[i - 1].name, info->methods[i].name) == 0)
            return BAD(error, module, "class %s has method '%s' twice", row->name, info->methods[i].name);
    return TRP_OK;
}

static trp_err
check_class(const trp_module *module, struct tri_class_info *info, trp_error *error)
{
    const trp_class *row = info->row;
    if (!tri_row_name_ok(row->name, strlen(row->name)))
        return BAD(error, module, "it has a class with the name '%.64s', which is not allowed", row->name);
    if (row->max_concurrency > TRI_CONCURRENCY_MAX)
        return BAD(error, module, "class %s has max_concurrency %u, the limit is %d", row->name, row->max_concurrency,
                   (int)TRI_CONCURRENCY_MAX);
    if (row->init == NULL && row->init_args != NULL && row->init_args[0] != '\0')
        return BAD(error, module, "class %s has init_args but no init", row->name);
    TRP_TRY(check_about(module, "about", row->name, row->about, error));
    info->has_init = row->init != NULL;
    info->init.method = row->init;
    TRP_TRY(make_callable(module, row->name, "init", row->init_args, &info->init, error));
    return check_methods(module, info, error);
}

static trp_err
check_classes(struct tri_loaded *loaded, trp_error *error)
{
    const trp_module *module = loaded->module;
    size_t count = 0;
    while (module->classes != NULL && module->classes[count].name != NULL)
        if (++count > TRI_MODULE_ROWS_MAX)
            return BAD(error, module, "its classes do not end with a zero row");
    if (count == 0)
        return TRP_OK;
    loaded->classes = calloc(count, sizeof *loaded->classes);
    if (loaded->classes == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    loaded->class_count = count;
    for (size_t i = 0; i < count; i++)
        loaded->classes[i].row = &module->classes[i];
    for (size_t i = 0; i < count; i++) {
        TRP_TRY(check_class(module, &loaded->classes[i], error));
        for (size_t j = 0; j < i; j++)
            if (strcmp(loaded->classes[j].row->name, loaded->classes[i].row->name) == 0)
                return BAD(error, module, "it has class '%s' twice", loaded->classes[i].row->name);
    }
    return TRP_OK;
}

static trp_err
check_task(const trp_module *module, struct tri_task_info *info, trp_error *error)
{
    const trp_function *row = info->row;
    if (!tri_row_name_ok(row->name, strlen(row->name)))
        return BAD(error, module, "it has a task with the name '%.64s', which is not allowed", row->name);
    if (row->fn == NULL)
        return BAD(error, module, "task %s has no function", row->name);
    if (!isfinite(row->num_cpus) || !isfinite(row->num_gpus) || row->num_gpus < 0)
        return BAD(error, module, "task %s asks for %g CPUs and %g GPUs", row->name, row->num_cpus, row->num_gpus);
    if (row->max_retries < -1 || (row->no_retries && row->max_retries != 0))
        return BAD(error, module, "task %s has max_retries %d%s", row->name, (int)row->max_retries,
                   row->no_retries ? " and no_retries" : "");
    TRP_TRY(check_about(module, "about", row->name, row->about, error));
    size_t size = strlen(module->name) + strlen(row->name) + 2;
    info->name = malloc(size);
    if (info->name == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    snprintf(info->name, size, "%s:%s", module->name, row->name);
    info->callable.task = row->fn;
    return make_callable(module, "", info->name, row->args, &info->callable, error);
}

static trp_err
check_tasks(struct tri_loaded *loaded, trp_error *error)
{
    const trp_module *module = loaded->module;
    size_t count = 0;
    while (module->tasks != NULL && module->tasks[count].name != NULL)
        if (++count > TRI_MODULE_ROWS_MAX)
            return BAD(error, module, "its tasks do not end with a zero row");
    if (count == 0)
        return TRP_OK;
    loaded->tasks = calloc(count, sizeof *loaded->tasks);
    if (loaded->tasks == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    loaded->task_count = count;
    for (size_t i = 0; i < count; i++)
        loaded->tasks[i].row = &module->tasks[i];
    for (size_t i = 0; i < count; i++)
        TRP_TRY(check_task(module, &loaded->tasks[i], error));
    qsort(loaded->tasks, count, sizeof *loaded->tasks, compare_tasks);
    for (size_t i = 1; i < count; i++)
        if (strcmp(loaded->tasks[i - 1].row->name, loaded->tasks[i].row->name) == 0)
            return BAD(error, module, "it has task '%s' twice", loaded->tasks[i].row->name);
    return TRP_OK;
}

trp_err
tri_loaded_new(const trp_module *module, struct tri_loaded **loaded, trp_error *error)
{
    struct tri_loaded *made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for module '%s'", module->name);
    made->module = module;
    trp_err err = check_about(module, "about", module->name, module->about, error);
    if (err == TRP_OK)
        err = check_about(module, "version", module->name, module->version, error);
    if (err == TRP_OK)
        err = check_classes(made, error);
    if (err == TRP_OK)
        err = check_tasks(made, error);
    if (err != TRP_OK) {
        tri_loaded_free(&made);
        return err;
    }
    *loaded = made;
    return TRP_OK;
}

void
tri_loaded_free(struct tri_loaded **loaded)
{
    struct tri_loaded *freed = *loaded;
    *loaded = NULL;
    if (freed == NULL)
        return;
    for (size_t i = 0; i < freed->class_count; i++) {
        struct tri_class_info *info = &freed->classes[i];
        tri_signature_free(&info->init.signature);
        for (size_t j = 0; j < info->method_count; j++)
            tri_signature_free(&info->methods[j].signature);
        free(info->methods);
    }
    for (size_t i = 0; i < freed->task_count; i++) {
        tri_signature_free(&freed->tasks[i].callable.signature);
        free(freed->tasks[i].name);
    }
    free(freed->classes);
    free(freed->tasks);
    free(freed);
}
