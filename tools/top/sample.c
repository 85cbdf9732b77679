/*
 * sample.c - one look at the node: what its broker says of calls, queues and processes, and what the kernel says of each
 * process. One thread. It must not know how that is shown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/top/top.h"

/* ------------------------------------------------------------------------------------------------------------- the kernel */

static void
read_cpu(struct tri_top_row *row)
{
    char path[64], text[1024], *at;
    int64_t user = 0, system = 0, started = 0;
    size_t got = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", row->pid);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    got = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[got] = '\0';
    at = strrchr(text, ')'); /* a name may have anything in it; the fields after it are numbers, from the third on */
    if (at != NULL &&
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64 " %*d %*d %*d %*d %*d %*d %" SCNd64,
               &user, &system, &started) == 3) {
        row->ticks = user + system;
        row->started = started;
    }
}

static void
read_memory(struct tri_top_row *row)
{
    char path[64];
    int64_t pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/statm", row->pid);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fscanf(file, "%*d %" SCNd64, &pages) == 1)
        row->memory_bytes = pages * sysconf(_SC_PAGESIZE);
    (void)fclose(file);
}

/* ------------------------------------------------------------------------------------------------------------- the broker */

static trp_err
ask(struct tri_cli *cli, const char *what, trp_ref **ref, trp_value *rows, trp_error *error)
{
    if (trp_query(cli->runtime, what, ref, error) != TRP_OK)
        return error->code;
    if (tri_wait_for(cli, *ref, "the broker's answer", rows, error) == TRP_OK)
        return TRP_OK;
    trp_ref_release(ref);
    return error->code;
}

/* A field of a row's under its own name, and a text under any. */
#define TAKE(to, value, field)    ((to)->field = trp_as_i64(trp_field((value), #field)))
#define TAKE_TEXT(to, value, key) ((void)snprintf((to), sizeof(to), "%s", trp_as_str(trp_field((value), (key)))))

static void
take_node(struct tri_top_sample *sample, trp_value row)
{
    TAKE_TEXT(sample->node, row, "name");
    sample->cpus = trp_as_f64(trp_field(row, "cpus"));
    sample->cpus_used = trp_as_f64(trp_field(row, "cpus_used"));
    TAKE(sample, row, incarnation);
    TAKE(sample, row, calls);
    TAKE(sample, row, calls_pending);
    TAKE(sample, row, tasks_queued);
    TAKE(sample, row, actors);
    TAKE(sample, row, processes);
    TAKE(sample, row, objects);
}

static struct tri_top_row *
add(struct tri_top_sample *sample)
{
    if (sample->count == sample->capacity) {
        const size_t capacity = sample->capacity > 0 ? 2 * sample->capacity : 64;
        struct tri_top_row *rows = realloc(sample->rows, capacity * sizeof *rows);
        if (rows == NULL)
            return NULL;
        sample->rows = rows;
        sample->capacity = capacity;
    }
    sample->rows[sample->count] = (struct tri_top_row){.pid = 0};
    return &sample->rows[sample->count++];
}

static bool
take_process(struct tri_top_sample *sample, trp_value value)
{
    struct tri_top_row *row = add(sample);

    if (row == NULL)
        return false;
    TAKE_TEXT(row->kind, value, "kind");
    TAKE_TEXT(row->state, value, "state");
    TAKE_TEXT(row->name, value, "name");
    TAKE_TEXT(row->class_name, value, "class");
    TAKE_TEXT(row->actor, value, "actor");
    TAKE(row, value, pid);
    TAKE(row, value, calls);
    TAKE(row, value, pending);
    TAKE(row, value, given);
    TAKE(row, value, running);
    TAKE(row, value, waiting);
    if (row->pid > 0) {
        read_cpu(row);
        read_memory(row);
    }
    return true;
}

/* Actors that have no process are in no list of processes. */
static bool
take_actor(struct tri_top_sample *sample, trp_value value)
{
    struct tri_top_row *row;

    if (trp_as_i64(trp_field(value, "pid")) != 0 || strcmp(trp_as_str(trp_field(value, "state")), "waiting") != 0)
        return true;
    row = add(sample);
    if (row == NULL)
        return false;
    (void)snprintf(row->kind, sizeof row->kind, "actor");
    TAKE_TEXT(row->state, value, "state");
    TAKE_TEXT(row->class_name, value, "class");
    TAKE_TEXT(row->name, value, "name");
    TAKE_TEXT(row->actor, value, "id");
    if (row->name[0] == '\0')
        TAKE_TEXT(row->name, value, "class");
    TAKE(row, value, pending);
    return true;
}

trp_err
tri_top_take(struct tri_cli *cli, struct tri_top_sample *sample, trp_error *error)
{
    static const char *const questions[] = {"nodes", "processes", "actors"};
    bool (*const takers[])(struct tri_top_sample *, trp_value) = {NULL, take_process, take_actor};
    bool has_room = true;

    sample->count = 0;
    sample->at_ns = tri_clock_ns();
    for (size_t q = 0; q < sizeof questions / sizeof *questions; q++) {
        trp_ref *ref = NULL;
        trp_value rows;
        if (ask(cli, questions[q], &ref, &rows, error) != TRP_OK)
            return error->code;
        if (q == 0)
            take_node(sample, trp_at(rows, 0));
        for (size_t i = 0; q > 0 && i < rows.size; i++)
            has_room = takers[q](sample, trp_at(rows, i)) && has_room;
        trp_ref_release(&ref);
    }
    if (has_room)
        return TRP_OK;
    *error = (trp_error){.code = TRP_ENOMEM, .rank = -1};
    return error->code;
}

void
tri_top_sample_fini(struct tri_top_sample *sample)
{
    free(sample->rows);
    *sample = (struct tri_top_sample){0};
}

/* -------------------------------------------------------------------------------------------------------------- per second */

static const struct tri_top_row *
same(const struct tri_top_sample *sample, const struct tri_top_row *row)
{
    for (size_t i = 0; i < sample->count; i++)
        if (sample->rows[i].pid == row->pid && sample->rows[i].started == row->started && row->pid > 0)
            return &sample->rows[i];
    return NULL;
}

/* A new broker, and a spare that became something, count from 0 again. */
static double
rate(int64_t now, int64_t before, double over_s)
{
    return now > before && over_s > 0 ? (double)(now - before) / over_s : 0;
}

void
tri_top_compare(struct tri_top_sample *now, const struct tri_top_sample *before)
{
    const double per_s = (double)sysconf(_SC_CLK_TCK);
    const bool is_same = now->incarnation == before->incarnation;

    now->over_s = (double)(now->at_ns - before->at_ns) / 1e9;
    now->calls_per_s = is_same ? rate(now->calls, before->calls, now->over_s) : 0;
    now->cpu_percent = 0;
    for (size_t i = 0; i < now->count; i++) {
        struct tri_top_row *row = &now->rows[i];
        const struct tri_top_row *old = same(before, row);
        row->calls_per_s = is_same ? rate(row->calls, old != NULL ? old->calls : 0, now->over_s) : 0;
        row->cpu_percent = old != NULL ? 100 * rate(row->ticks, old->ticks, now->over_s) / per_s : 0;
        now->cpu_percent += row->cpu_percent;
    }
}
