/*
 * top.c - `troupe top`: what the node does, again and again: calls per second, queues, processor and memory of each process. One
 * thread.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/top/top.h"
#include "tools/verbs/verbs.h"

enum { LOOK_MS = 100, FIRST_MS = 300, ROW_FIELDS = 14 };

struct settings {
    int64_t interval_ms, iterations; /* 0: for ever */
    int (*order)(const void *a, const void *b);
};

/* --------------------------------------------------------------------------------------------------------------- sorting */

static int
by_number(double a, double b)
{
    return (a < b) - (a > b); /* the largest first */
}

static int
by_name(const void *a, const void *b)
{
    const struct tri_top_row *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order == 0)
        order = strcmp(x->kind, y->kind);
    return order != 0 ? order : (x->pid > y->pid) - (x->pid < y->pid);
}

#define BY(field)                                                                                                      \
    static int by_##field(const void *a, const void *b)                                                                \
    {                                                                                                                  \
        const struct tri_top_row *x = a, *y = b;                                                                       \
        const int order = by_number((double)x->field, (double)y->field);                                               \
        return order != 0 ? order : by_name(a, b);                                                                     \
    }
BY(cpu_percent)
BY(memory_bytes)
BY(calls_per_s)
BY(pending)
BY(running)

static int
by_pid(const void *a, const void *b)
{
    const struct tri_top_row *x = a, *y = b;

    return x->pid != y->pid ? (x->pid > y->pid) - (x->pid < y->pid) : by_name(a, b);
}

static const struct {
    const char *name;
    int (*order)(const void *a, const void *b);
} orders[] = {
    {"cpu", by_cpu_percent}, {"memory", by_memory_bytes}, {"calls", by_calls_per_s}, {"pending", by_pending},
    {"running", by_running}, {"name", by_name},           {"pid", by_pid},
};
enum { ORDER_COUNT = sizeof orders / sizeof *orders };

/* ---------------------------------------------------------------------------------------------------------------- as text */

/* Names are anybody's: what would move the cursor is not shown. */
static void
show_name(trp_value row, const char *key, char *text, size_t size)
{
    const char *name = trp_as_str(trp_field(row, key)), *state = trp_as_str(trp_field(row, "state"));
    const bool is_ready = strcmp(state, "ready") == 0;

    (void)snprintf(text, size, "%s%s%s%s%s", strncmp(name, "default/", 8) == 0 ? name + 8 : name,
                   !is_ready && name[0] != '\0' ? " " : "", is_ready ? "" : "(", is_ready ? "" : state,
                   is_ready ? "" : ")");
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* Drivers and who runs the node run no calls. */
static void
show_number(trp_value row, const char *key, char *text, size_t size)
{
    const trp_value value = trp_field(row, key);

    if (value.kind == TRP_F64)
        (void)snprintf(text, size, value.as.f64 < 10 ? "%.1f" : "%.0f", value.as.f64);
    else if (value.kind == TRP_I64)
        (void)snprintf(text, size, "%lld", (long long)value.as.i64);
    else
        (void)snprintf(text, size, "-");
}

static void
show_memory(trp_value row, const char *key, char *text, size_t size)
{
    const double mib = trp_as_f64(trp_field(row, key)) / (1 << 20);

    (void)snprintf(text, size, mib < 1000 ? "%.1fM" : "%.1fG", mib < 1000 ? mib : mib / 1024);
}

static const struct tri_column columns[] = {
    {"KIND", "kind", false, NULL},
    {"PID", "pid", true, tri_show_pid},
    {"CALLS/S", "calls_per_s", true, show_number},
    {"PENDING", "pending", true, show_number},
    {"RUNNING", "running", true, show_number},
    {"CPU%", "cpu_percent", true, show_number},
    {"MEMORY", "memory_bytes", true, show_memory},
    {"NAME", "name", false, show_name},
};

static trp_value
row_value(const struct tri_top_row *row, trp_value *entries)
{
    const bool is_host = strcmp(row->kind, "actor") == 0 || strcmp(row->kind, "tasks") == 0;
    const bool is_caller = is_host || strcmp(row->kind, "driver") == 0;
    size_t count = 0;

#define PUT(key, value) (entries[count++] = trp_str(key), entries[count++] = (value))
    PUT("kind", trp_str(row->kind));
    PUT("name", trp_str(row->name));
    PUT("class", trp_str(row->class_name));
    PUT("actor", trp_str(row->actor));
    PUT("pid", trp_i64(row->pid));
    PUT("state", trp_str(row->state));
    PUT("calls", is_host ? trp_i64(row->calls) : trp_null());
    PUT("calls_per_s", is_host ? trp_f64(row->calls_per_s) : trp_null());
    PUT("pending", is_caller ? trp_i64(row->pending) : trp_null());
    PUT("given", is_host ? trp_i64(row->given) : trp_null());
    PUT("running", is_host ? trp_i64(row->running) : trp_null());
    PUT("waiting", is_host ? trp_i64(row->waiting) : trp_null());
    PUT("cpu_percent", trp_f64(row->cpu_percent));
    PUT("memory_bytes", trp_i64(row->memory_bytes));
#undef PUT
    return trp_map(entries, count / 2);
}

/* The rows as values, in *rows; `entries` has their fields. false: no memory. */
static bool
make_rows(const struct tri_top_sample *sample, trp_value **rows, trp_value **entries)
{
    *rows = calloc(sample->count + 1, sizeof **rows);
    *entries = calloc(sample->count + 1, 2 * ROW_FIELDS * sizeof **entries);
    for (size_t i = 0; *rows != NULL && *entries != NULL && i < sample->count; i++)
        (*rows)[i] = row_value(&sample->rows[i], *entries + i * 2 * ROW_FIELDS);
    return *rows != NULL && *entries != NULL;
}

static void
write_text(struct tri_cli *cli, const struct tri_top_sample *sample, trp_value rows)
{
    tri_print(cli, "%s: %g of %g CPUs held, %lld actor%s, %lld processes, %lld object%s; %.0f%% CPU\n", sample->node,
              sample->cpus_used, sample->cpus, (long long)sample->actors, sample->actors == 1 ? "" : "s",
              (long long)sample->processes, (long long)sample->objects, sample->objects == 1 ? "" : "s",
              sample->cpu_percent);
    tri_print(cli, "%.0f calls/s over %.1f s, %lld pending, %lld tasks queued\n\n", sample->calls_per_s, sample->over_s,
              (long long)sample->calls_pending, (long long)sample->tasks_queued);
    (void)tri_give_rows(cli, NULL, rows, columns, sizeof columns / sizeof *columns, NULL);
}

/* ------------------------------------------------------------------------------------------------------------- the screen */

/* So many bytes of a line take so many columns at most. */
static size_t
cut(const char *line, size_t size, size_t most)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++)
        if ((line[i] & 0xc0) != 0x80 && count++ == most)
            return i;
    return size;
}

/* What fits, each line over what was there; what is left below is cleared. */
static void
draw(struct tri_cli *cli, const char *text, size_t columns_, size_t lines)
{
    const bool colours = tri_has_colours(cli, cli->out);

    tri_print(cli, "\033[H");
    for (size_t line = 0; line < lines && *text != '\0'; line++) {
        const size_t size = strcspn(text, "\n");
        const bool is_heading = colours && strncmp(text, columns[0].heading, strlen(columns[0].heading)) == 0;
        tri_print(cli, "%s\033[K%s%.*s%s", line > 0 ? "\r\n" : "", is_heading ? "\033[1m" : "",
                  (int)cut(text, size, columns_), text, is_heading ? "\033[0m" : "");
        text += size + (text[size] == '\n');
    }
    tri_print(cli, "\033[J");
}

/* The same text as elsewhere, made in memory first. */
static int
show_screen(struct tri_cli *cli, const struct tri_top_sample *sample, trp_value rows, size_t columns_, size_t lines)
{
    struct tri_cli memory = *cli;
    char *text = NULL;
    size_t size = 0;

    memory.out = open_memstream(&text, &size);
    if (memory.out == NULL)
        return tri_fail_text(cli, "out of memory");
    write_text(&memory, sample, rows);
    if (fclose(memory.out) == 0)
        draw(cli, text, columns_, lines);
    free(text);
    return tri_flush(cli);
}

static int
give_values(struct tri_cli *cli, const struct tri_top_sample *sample, trp_value rows)
{
    const trp_value node[] = {
        trp_str("name"),          trp_str(sample->node),
        trp_str("incarnation"),   trp_i64(sample->incarnation),
        trp_str("cpus"),          trp_f64(sample->cpus),
        trp_str("cpus_used"),     trp_f64(sample->cpus_used),
        trp_str("cpu_percent"),   trp_f64(sample->cpu_percent),
        trp_str("calls"),         trp_i64(sample->calls),
        trp_str("calls_per_s"),   trp_f64(sample->calls_per_s),
        trp_str("calls_pending"), trp_i64(sample->calls_pending),
        trp_str("tasks_queued"),  trp_i64(sample->tasks_queued),
        trp_str("actors"),        trp_i64(sample->actors),
        trp_str("objects"),       trp_i64(sample->objects),
    };
    const trp_value all = TRP_MAP("time", (int64_t)time(NULL), "over_s", sample->over_s, "node",
                                  trp_map(node, sizeof node / sizeof *node / 2), "processes", rows);
    const int exit_code = tri_give(cli, NULL, all);

    return exit_code != TRI_EXIT_OK ? exit_code : tri_flush(cli);
}

static int
show(struct tri_cli *cli, const struct tri_top_sample *sample, const struct settings *settings, bool first)
{
    trp_value *rows, *entries;
    size_t columns_, lines;
    int exit_code = TRI_EXIT_FAILED;

    qsort(sample->rows, sample->count, sizeof *sample->rows, settings->order);
    if (!make_rows(sample, &rows, &entries)) {
        exit_code = tri_fail_text(cli, "out of memory");
    } else if (tri_wants_value(cli)) {
        exit_code = give_values(cli, sample, trp_list(rows, sample->count));
    } else if (tri_screen_size(&columns_, &lines)) {
        exit_code = show_screen(cli, sample, trp_list(rows, sample->count), columns_, lines);
    } else {
        tri_print(cli, "%s", first ? "" : "\n");
        write_text(cli, sample, trp_list(rows, sample->count));
        exit_code = tri_flush(cli);
    }
    free(rows);
    free(entries);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------------ loop */

/* Until then: false where q was pressed, or Ctrl-C. What is shown follows the size of the screen. */
static bool
wait_until(struct tri_cli *cli, int64_t until_ms, const struct tri_top_sample *shown, const struct settings *settings)
{
    int64_t left_ms;

    while ((left_ms = until_ms - tri_clock_ms()) > 0 && !tri_stopped())
        switch (tri_screen_wait(left_ms < LOOK_MS ? left_ms : LOOK_MS)) {
        case TRI_SCREEN_QUIT:
            return false;
        case TRI_SCREEN_CHANGED:
            (void)show(cli, shown, settings, false); /* the next one says what is wrong with the terminal */
            break;
        case TRI_SCREEN_TIME:
            break;
        }
    return !tri_stopped();
}

/* samples[0] is the one before, samples[1] the newest. */
static int
refresh(struct tri_cli *cli, const struct settings *settings, struct tri_top_sample samples[2], trp_error *error)
{
    int exit_code = TRI_EXIT_OK;
    int64_t next_ms = tri_clock_ms();

    if (tri_top_take(cli, &samples[1], error) != TRP_OK)
        return TRI_EXIT_OTHER;
    for (int64_t i = 0; exit_code == TRI_EXIT_OK && (settings->iterations == 0 || i < settings->iterations); i++) {
        const struct tri_top_sample before = samples[0];
        size_t columns_, lines;
        const bool soon = i == 0 && tri_screen_size(&columns_, &lines) && settings->interval_ms > FIRST_MS;
        next_ms += soon ? FIRST_MS : settings->interval_ms;
        if (next_ms < tri_clock_ms())
            next_ms = tri_clock_ms();
        if (!wait_until(cli, next_ms, &samples[1], settings))
            return tri_stopped() ? TRI_EXIT_STOPPED : TRI_EXIT_OK;
        samples[0] = samples[1];
        samples[1] = before;
        if (tri_top_take(cli, &samples[1], error) != TRP_OK)
            return TRI_EXIT_OTHER;
        tri_top_compare(&samples[1], &samples[0]);
        exit_code = show(cli, &samples[1], settings, i == 0);
    }
    return exit_code;
}

/* -------------------------------------------------------------------------------------------------------- the command line */

static int
take_settings(struct tri_cli *cli, const struct tri_args *args, struct settings *settings)
{
    const char *interval = tri_option(args, "interval"), *iterations = tri_option(args, "iterations");
    const char *sort = tri_option(args, "sort"), *names[ORDER_COUNT + 1] = {NULL};
    int exit_code = TRI_EXIT_OK;

    *settings = (struct settings){.interval_ms = 1000, .order = orders[0].order};
    if (interval != NULL)
        exit_code = tri_take_time(cli, "--interval", interval, &settings->interval_ms);
    if (exit_code == TRI_EXIT_OK && (settings->interval_ms < 10 || settings->interval_ms > 24 * 3600 * 1000))
        return tri_refuse(cli, "--interval is %s; it has to be 10ms to 24h", interval);
    if (exit_code == TRI_EXIT_OK && iterations != NULL)
        exit_code = tri_take_number(cli, "--iterations", iterations, 1, INT32_MAX, &settings->iterations);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (tri_option(args, "once") != NULL && iterations != NULL)
        return tri_refuse(cli, "--once and --iterations are not for the same command");
    if (tri_option(args, "once") != NULL || cli->take != NULL)
        settings->iterations = 1;
    for (size_t i = 0; i < ORDER_COUNT; i++) {
        names[i] = orders[i].name;
        if (sort != NULL && strcmp(sort, orders[i].name) == 0) {
            settings->order = orders[i].order;
            return TRI_EXIT_OK;
        }
    }
    return sort != NULL ? tri_unknown(cli, "order", sort, names) : TRI_EXIT_OK;
}

static int
run_top(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_top_sample samples[2] = {0};
    trp_error error = {.code = TRP_OK};
    struct settings settings;
    int exit_code = take_settings(cli, args, &settings);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_stop_watch();
    if (!cli->json && !cli->quiet && cli->take == NULL && tri_option(args, "once") == NULL &&
        isatty(fileno(cli->out)) != 0 && getenv("TERM") != NULL && strcmp(getenv("TERM"), "dumb") != 0)
        tri_screen_open(cli);
    exit_code = refresh(cli, &settings, samples, &error);
    tri_screen_close();
    tri_top_sample_fini(&samples[0]);
    tri_top_sample_fini(&samples[1]);
    return error.code != TRP_OK ? tri_fail(cli, &error, NULL) : exit_code;
}

static const struct tri_option top_options[] = {
    {"interval", 'd', "TIME", "from one look to the next; 1s unless given", NULL},
    {"iterations", 'n', "N", "how many times; else until Ctrl-C or q", NULL},
    {"once", 0, NULL, "once, as text, after one interval", NULL},
    {"sort", 's', "BY", "cpu, memory, calls, pending, running, name or pid; cpu unless given",
     "cpu|memory|calls|pending|running|name|pid"},
    {0},
};

const struct tri_verb tri_verb_top = {
    .name = "top",
    .group = "Looking around",
    .about = "shows calls per second, queues, processor and memory of each process",
    .options = top_options,
    .flags = TRI_NEEDS_NODE,
    .more =
        "CALLS/S are calls that have ended there. PENDING: of an actor, all that have not ended; of tasks, what was "
        "given\n"
        "to that process; of a driver, what it has called. RUNNING: as many of those that are at the process as it "
        "runs\n"
        "at a time. On a terminal the screen is drawn anew, and q or Ctrl-C leaves it; elsewhere it is text, one look\n"
        "below the other; --json prints an object a line.\n",
    .run = run_top,
};
