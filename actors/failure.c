/*
 * failure.c - trp_failure: everything that is known of why a reference failed, as one MAP. Any thread.
 */
#include <stdlib.h>

#include "actors/process.h"

enum { FAILURE_FIELDS = 11, CAUSES = 8 };

/* What the MAP of a failed reference borrows: the chain of causes, outermost first, and the entries made of it. */
struct told {
    uint32_t count;
    trp_value fields[CAUSES][2 * FAILURE_FIELDS];
    trp_value deaths[CAUSES][2 * TRI_DEATH_FIELDS];
    struct tri_failure chain[CAUSES];
};

/* Number i of the chain; the cause inside of it is the next. */
static trp_value
tell(struct told *told, uint32_t i)
{
    const struct tri_failure *failure = &told->chain[i];
    const trp_error *error = &failure->error;
    const trp_value fields[2 * FAILURE_FIELDS] = {
        trp_str("code"),    trp_i64(error->code),
        trp_str("message"), trp_str(error->message),
        trp_str("ran"),     trp_i64(error->ran),
        trp_str("actor"),   trp_str(error->actor),
        trp_str("method"),  trp_str(error->method),
        trp_str("node"),    trp_str(error->node),
        trp_str("rank"),    trp_i64(error->rank),
        trp_str("number"),  trp_i64(error->cause),
        trp_str("cause"),   i + 1 < told->count ? tell(told, i + 1) : trp_null(),
        trp_str("death"),   failure->death.present ? tri_death_map(&failure->death, told->deaths[i]) : trp_null(),
        trp_str("ranks"),   trp_list(NULL, 0),
    };

    (void)memcpy(told->fields[i], fields, sizeof fields);
    return trp_map(told->fields[i], FAILURE_FIELDS);
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
