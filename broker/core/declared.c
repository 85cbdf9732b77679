/*
 * declared.c - the table of declared.h: rows sorted by name, those of a module replaced together. Pure; one thread at a time.
 * It must not know calls, hosts, or how a description came.
 */
#include "broker/core/declared.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
by_name(const void *left, const void *right)
{
    return strcmp(((const struct tri_declared *)left)->name, ((const struct tri_declared *)right)->name);
}

const struct tri_declared *
tri_declared_find(const struct tri_declared_table *table, const char *name)
{
    const struct tri_declared key = {.name = (char *)(uintptr_t)name};
    return table->count > 0 ? bsearch(&key, table->rows, table->count, sizeof key, by_name) : NULL;
}

bool
tri_declared_needs(const struct tri_declared *row)
{
    return row->num_cpus != 1 || row->num_gpus != 0 || row->memory_bytes != 0;
}

static void
free_rows(struct tri_declared *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rows[i].name);
}

void
tri_declared_fini(struct tri_declared_table *table)
{
    free_rows(table->rows, table->count);
    free(table->rows);
    *table = (struct tri_declared_table){0};
}

/* --------------------------------------------------------------------------------------------------------- descriptions */

uint32_t
tri_described(const struct tri_view *view, uint32_t map, const char *key)
{
    const struct tri_wire_node *node = &view->nodes[map];
    if (node->kind != TRP_MAP)
        return 0;
    for (uint64_t i = node->payload; i < node->payload + 2 * (uint64_t)node->count; i += 2)
        if (strcmp(trp_as_str(tri_view_value(view, (uint32_t)i)), key) == 0)
            return (uint32_t)i + 1;
    return 0;
}

static trp_value
value_of(const struct tri_view *view, uint32_t map, const char *key, trp_value otherwise)
{
    const uint32_t node = tri_described(view, map, key);
    return node != 0 ? tri_view_value(view, node) : otherwise;
}

/* Numbers that a description may lack are the usual ones. */
static trp_err
read_row(const struct tri_view *view, uint32_t task, struct tri_declared *row, trp_error *error)
{
    const trp_value cpus = value_of(view, task, "num_cpus", trp_f64(1));
    const trp_value gpus = value_of(view, task, "num_gpus", trp_f64(0));
    const trp_value memory = value_of(view, task, "memory_bytes", trp_i64(0));
    const trp_value retries = value_of(view, task, "max_retries", trp_i64(TRI_USUAL_RETRIES));
    row->num_cpus = trp_as_f64(cpus);
    row->num_gpus = trp_as_f64(gpus);
    const int64_t bytes = trp_as_i64(memory);
    row->memory_bytes = (uint64_t)bytes;
    const int64_t most = trp_as_i64(retries);
    if (!isfinite(row->num_cpus) || row->num_cpus < 0 || !isfinite(row->num_gpus) || row->num_gpus < 0 || bytes < 0 ||
        most < -1 || most > INT32_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "a module describes a task of %g CPUs, %g GPUs, %lld bytes and %lld retries",
                        row->num_cpus, row->num_gpus, (long long)bytes, (long long)most);
    row->max_retries = (int32_t)most;
    return TRP_OK;
}

static bool
is_usual(const struct tri_declared *row)
{
    return !tri_declared_needs(row) && row->max_retries == TRI_USUAL_RETRIES;
}

static char *
full_name(const char *module, const char *task)
{
    const size_t size = strlen(module) + strlen(task) + 2;
    char *name = malloc(size);
    if (name != NULL)
        (void)snprintf(name, size, "%s:%s", module, task);
    return name;
}

/* Appends the rows of the module that are not the usual. */
static trp_err
read_rows(const struct tri_view *view, const char *module, struct tri_declared_table *rows, trp_error *error)
{
    const uint32_t at = tri_described(view, 0, "tasks");
    const struct tri_wire_node *list = &view->nodes[at];
    if (at == 0 || list->kind != TRP_LIST)
        return TRP_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        const uint32_t task = (uint32_t)list->payload + i;
        const char *name = trp_as_str(value_of(view, task, "name", trp_str("")));
        struct tri_declared row;
        TRP_TRY(read_row(view, task, &row, error));
        if (is_usual(&row))
            continue;
        if (rows->count >= TRI_DECLARED_MAX)
            return TRI_FAIL(error, TRP_ELIMIT, "more than %d tasks declare needs or retries", TRI_DECLARED_MAX);
        if (!TRI_RESERVE(rows->rows, rows->capacity, rows->count + 1) || (row.name = full_name(module, name)) == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for what a module declares");
        rows->rows[rows->count++] = row;
    }
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- changing */

static bool
is_of(const struct tri_declared *row, const char *module)
{
    const size_t length = strlen(module);
    return strncmp(row->name, module, length) == 0 && row->name[length] == ':';
}

static void
drop(struct tri_declared_table *table, const char *module)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++)
        if (is_of(&table->rows[i], module))
            free(table->rows[i].name);
        else
            table->rows[kept++] = table->rows[i];
    table->count = kept;
}

static void
merge(struct tri_declared_table *table, const struct tri_declared_table *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        table->rows[table->count++] = rows->rows[i];
    table->needing = 0;
    for (size_t i = 0; i < table->count; i++)
        table->needing += tri_declared_needs(&table->rows[i]);
    if (table->count > 0)
        qsort(table->rows, table->count, sizeof *table->rows, by_name);
}

trp_err
tri_declared_take(struct tri_declared_table *table, const struct tri_view *view, trp_error *error)
{
    const char *module = trp_as_str(value_of(view, 0, "name", trp_str("")));
    struct tri_declared_table rows = {0};
    trp_err err = read_rows(view, module, &rows, error);
    if (err == TRP_OK && rows.count + table->count > TRI_DECLARED_MAX)
        err = TRI_FAIL(error, TRP_ELIMIT, "more than %d tasks declare needs or retries", TRI_DECLARED_MAX);
    if (err == TRP_OK && !TRI_RESERVE(table->rows, table->capacity, rows.count + table->count))
        err = TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for what a module declares");
    if (err != TRP_OK) {
        tri_declared_fini(&rows);
        return err;
    }
    drop(table, module);
    merge(table, &rows);
    free(rows.rows);
    return TRP_OK;
}
