/*
 * modules_describe.c - what a module offers, as a value for people and programs to look at: the MAP of MODULE messages and of
 * trp_query("modules"). It must not know how modules are found.
 */
#include "actors/modules.h"

#include <string.h>

static trp_value
text(const char *string)
{
    return trp_str(string != NULL ? string : "");
}

struct entries { /* of one MAP */
    trp_value *items;
    size_t count;
};

static void
entry(struct entries *entries, const char *key, trp_value value)
{
    if (entries->items == NULL)
        return;
    entries->items[2 * entries->count] = trp_str(key);
    entries->items[2 * entries->count + 1] = value;
    entries->count++;
}

/* A MAP with room for `max` entries. Without memory it stays empty. */
static struct entries
entries_new(struct tri_arena *arena, size_t max)
{
    return (struct entries){.items = tri_arena_alloc(arena, 2 * max * sizeof(trp_value))};
}

static trp_value
entries_map(const struct entries *entries)
{
    return trp_map(entries->items, entries->count);
}

static trp_value
describe_methods(struct tri_arena *arena, const struct tri_class_info *info)
{
    trp_value *list = tri_arena_alloc(arena, info->method_count * sizeof *list);
    for (size_t i = 0; list != NULL && i < info->method_count; i++) {
        const trp_method *row = &info->row->methods[i];
        struct entries entries = entries_new(arena, 3);
        entry(&entries, "name", text(row->name));
        entry(&entries, "args", text(row->args));
        entry(&entries, "about", text(row->about));
        list[i] = entries_map(&entries);
    }
    return trp_list(list, list != NULL ? info->method_count : 0);
}

static trp_value
describe_class(struct tri_arena *arena, const struct tri_class_info *info)
{
    struct entries entries = entries_new(arena, 5);
    entry(&entries, "name", text(info->row->name));
    entry(&entries, "about", text(info->row->about));
    entry(&entries, "init_args", text(info->row->init_args));
    entry(&entries, "max_concurrency", trp_i64(info->row->max_concurrency > 0 ? info->row->max_concurrency : 1));
    entry(&entries, "methods", describe_methods(arena, info));
    return entries_map(&entries);
}

static trp_value
describe_task(struct tri_arena *arena, const trp_function *row)
{
    struct entries entries = entries_new(arena, 7);
    entry(&entries, "name", text(row->name));
    entry(&entries, "args", text(row->args));
    entry(&entries, "about", text(row->about));
    entry(&entries, "num_cpus", trp_f64(row->num_cpus > 0 ? row->num_cpus : row->num_cpus < 0 ? 0 : 1));
    entry(&entries, "num_gpus", trp_f64(row->num_gpus));
    entry(&entries, "memory_bytes", trp_i64(row->memory_bytes < INT64_MAX ? (int64_t)row->memory_bytes : INT64_MAX));
    entry(&entries, "max_retries", trp_i64(row->no_retries ? 0 : row->max_retries != 0 ? row->max_retries : 3));
    return entries_map(&entries);
}

static trp_value
describe_module(struct tri_arena *arena, const struct tri_loaded *loaded)
{
    struct entries entries = entries_new(arena, 5);
    trp_value *classes = tri_arena_alloc(arena, loaded->class_count * sizeof *classes);
    trp_value *tasks = tri_arena_alloc(arena, loaded->task_count * sizeof *tasks);
    for (size_t i = 0; classes != NULL && i < loaded->class_count; i++)
        classes[i] = describe_class(arena, &loaded->classes[i]);
    for (size_t i = 0; tasks != NULL && i < loaded->task_count; i++)
        tasks[i] = describe_task(arena, loaded->tasks[i].row);
    entry(&entries, "name", text(loaded->module->name));
    entry(&entries, "version", text(loaded->module->version));
    entry(&entries, "about", text(loaded->module->about));
    entry(&entries, "classes", trp_list(classes, classes != NULL ? loaded->class_count : 0));
    entry(&entries, "tasks", trp_list(tasks, tasks != NULL ? loaded->task_count : 0));
    return entries_map(&entries);
}

static bool
declares_retries(const struct tri_loaded *loaded)
{
    for (size_t i = 0; i < loaded->task_count; i++)
        if (loaded->tasks[i].row->no_retries || loaded->tasks[i].row->max_retries != 0)
            return true;
    return false;
}

bool
tri_modules_describe(struct tri_modules *modules, bool again, void (*visit)(void *user, trp_value map), void *user)
{
    struct tri_arena arena = {0};
    bool declares = false;
    for (struct tri_loaded *loaded = tri_modules_first(modules); loaded != NULL; loaded = loaded->next) {
        if (loaded->shown && !again)
            continue;
        loaded->shown = true;
        declares = declares_retries(loaded) || declares;
        visit(user, describe_module(&arena, loaded));
        tri_arena_reset(&arena);
    }
    tri_arena_fini(&arena);
    return declares;
}
