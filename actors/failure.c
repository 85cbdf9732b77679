/*
 * failure.c - trp_failure: everything that is known of why a reference failed, as one MAP. Any thread.
 */
#include <stdlib.h>

#include "actors/process.h"

enum { FAILURE_FIELDS = 11, DEATH_FIELDS = 12 };

/* What the MAP of a failed reference borrows: the chain of causes, outermost first, and the entries made of it. */
struct told {
    uint32_t count;
    trp_value fields[8][2 * FAILURE_FIELDS];
    trp_value deaths[8][2 * DEATH_FIELDS];
    struct tri_failure chain[8];
};

static size_t
entry(trp_value *entries, size_t at, const char *key, trp_value value)
{
    entries[2 * at] = trp_str(key);
    entries[2 * at + 1] = value;
    return at + 1;
}

static trp_value
tell_death(const struct tri_death *death, trp_value *entries)
{
    size_t n = 0;

    n = entry(entries, n, "pid", trp_i64(death->pid));
    n = entry(entries, n, "exit_code", trp_i64(death->exit_code));
    n = entry(entries, n, "signal", trp_i64(death->signal));
    n = entry(entries, n, "memory_limit", trp_bool(death->memory_limit));
    n = entry(entries, n, "module", trp_str(death->module));
    n = entry(entries, n, "actor", trp_str(death->actor));
    n = entry(entries, n, "method", trp_str(death->method));
    n = entry(entries, n, "sequence", trp_u64(death->sequence));
    n = entry(entries, n, "backtrace", trp_str(death->backtrace));
    n = entry(entries, n, "last_output", trp_str(death->last_output));
    n = entry(entries, n, "killed_by", trp_str(death->killed_by));
    TRI_ASSERT(n < DEATH_FIELDS);
    return trp_map(entries, n);
}

/* Number i of the chain; the cause inside of it is the next. */
static trp_value
tell(struct told *told, uint32_t i)
{
    const struct tri_failure *failure = &told->chain[i];
    const trp_error *error = &failure->error;
    trp_value *entries = told->fields[i];
    size_t n = 0;

    n = entry(entries, n, "code", trp_i64(error->code));
    n = entry(entries, n, "message", trp_str(error->message));
    n = entry(entries, n, "ran", trp_i64(error->ran));
    n = entry(entries, n, "actor", trp_str(error->actor));
    n = entry(entries, n, "method", trp_str(error->method));
    n = entry(entries, n, "node", trp_str(error->node));
    n = entry(entries, n, "rank", trp_i64(error->rank));
    n = entry(entries, n, "number", trp_i64(error->cause));
    n = entry(entries, n, "cause", i + 1 < told->count ? tell(told, i + 1) : trp_null());
    n = entry(entries, n, "death", failure->death.present ? tell_death(&failure->death, told->deaths[i]) : trp_null());
    n = entry(entries, n, "ranks", trp_list(NULL, 0));
    return trp_map(entries, n);
}

trp_value
trp_failure(trp_ref *ref)
{
    struct tri_process *process = NULL;
    struct tri_handle_more *more = NULL;
    struct told *told;
    trp_value value = {.kind = TRP_NONE};

    if (tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, NULL) != TRP_OK)
        return value;
    if (ref->handle.ref.state == TRI_REF_FAILED)
        more = tri_handle_more(&ref->handle);
    if (more != NULL && more->failure_memory == NULL) {
        told = malloc(sizeof *told);
        if (told != NULL &&
            tri_error_unpack(tri_ref_value(&ref->handle.ref), told->chain, &told->count, NULL) == TRP_OK) {
            more->failure_memory = told;
            more->failure = tell(told, 0);
        } else {
            free(told);
        }
    }
    if (more != NULL)
        value = more->failure;
    tri_process_unlock(process);
    return value;
}
