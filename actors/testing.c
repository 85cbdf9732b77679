/*
 * testing.c - troupe/testing.h but for made contexts: local mode for a test, its clock, faults. On the test's thread. It checks
 * what it is given and sets what local_faults.c goes by.
 */
#include <stdio.h>
#include <stdlib.h>

#include "actors/checks.h"
#include "actors/local.h"
#include "actors/modules.h"

enum { CALL_MS = 60 * 1000 };

trp_err
tri_test_enter(const trp_runtime *runtime, const char *what, struct tri_process **process, trp_error *error)
{
    if (tri_current_execution != NULL)
        return TRI_FAIL(error, TRP_EINVAL, "%s is for the test, and not for a method", what);
    TRP_TRY(tri_runtime_enter(runtime, process, error));
    if ((*process)->local != NULL)
        return TRP_OK;
    tri_process_unlock(*process);
    return TRI_FAIL(error, TRP_ENOTSUP, "%s is for local mode: set config.mode to TRP_MODE_LOCAL", what);
}

/* ----------------------------------------------------------------------------------------- beginning, and calling */

trp_err
trp_test_init(const trp_module *const *modules, trp_runtime **runtime, trp_error *error)
{
    const trp_config config = {.mode = TRP_MODE_LOCAL, .modules = modules};
    trp_err err;

    TRP_TRY(trp_init(&config, runtime, error));
    err = trp_test_clock(*runtime, error);
    if (err != TRP_OK)
        trp_shutdown(runtime);
    return err;
}

trp_err
trp_test_load(const char *file, const trp_module **module, trp_error *error)
{
    if (file == NULL || module == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "%s is NULL", file == NULL ? "file" : "module");
    return tri_module_load_file(file, module, error);
}

/* What the last one gave is let go of; this one's is kept in its place. */
static void
keep(struct tri_process *process, trp_ref *ref)
{
    trp_ref *before;

    tri_process_lock(process);
    before = process->local->looked_at;
    process->local->looked_at = ref;
    if (before != NULL)
        tri_handle_drop(process, &before->handle);
    tri_process_unlock(process);
}

trp_err
trp_test_call(trp_actor *actor, const char *method, trp_value args, trp_value *value, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_ref *ref = NULL;
    trp_err err;

    TRP_TRY(tri_handle_enter(actor != NULL ? &actor->handle : NULL, "actor", &process, error));
    tri_process_unlock(process);
    TRP_TRY(tri_test_enter(actor->handle.runtime, "trp_test_call", &process, error));
    tri_process_unlock(process);
    TRP_TRY(trp_call(actor, method, args, &ref, error));
    err = trp_get(ref, CALL_MS, value, error);
    if (err == TRP_OK && value != NULL)
        keep(process, ref);
    else
        trp_ref_release(&ref);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- time */

trp_err
trp_test_clock(trp_runtime *runtime, trp_error *error)
{
    struct tri_process *process = NULL;

    TRP_TRY(tri_test_enter(runtime, "trp_test_clock", &process, error));
    if (process->local->clock_start_ns == 0) {
        process->local->clock_start_ns = tri_now_ns();
        tri_clock_stand(process->local->clock_start_ns);
    }
    tri_process_unlock(process);
    return TRP_OK;
}

int64_t
trp_test_now_ms(const trp_runtime *runtime)
{
    struct tri_process *process = NULL;
    int64_t now_ms = 0;

    if (tri_test_enter(runtime, "trp_test_now_ms", &process, NULL) != TRP_OK)
        return 0;
    if (process->local->clock_start_ns != 0)
        now_ms = (int64_t)((tri_now_ns() - process->local->clock_start_ns) / TRI_NS_PER_MS);
    tri_process_unlock(process);
    return now_ms;
}

static bool
never(void *user)
{
    (void)user;
    return false;
}

trp_err
trp_test_advance(trp_runtime *runtime, int64_t ms, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err = TRP_ETIMEDOUT;
    trp_err stuck = TRP_OK;

    TRP_TRY(tri_check_time("ms", ms, error));
    TRP_TRY(tri_test_enter(runtime, "trp_test_advance", &process, error));
    if (process->local->clock_start_ns == 0) {
        tri_process_unlock(process);
        return TRI_FAIL(error, TRP_EINVAL, "time does not stand still in this runtime: call trp_test_clock first");
    }
    while (tri_local_step(process->local, &stuck))
        continue;
    if (ms > 0)
        err = tri_process_wait(process, never, NULL, tri_until_ns(ms), NULL, 0, false, error);
    while (tri_local_step(process->local, &stuck))
        continue; /* what is due at the very end */
    tri_process_unlock(process);
    return err == TRP_ETIMEDOUT ? TRP_OK : err;
}

/* ----------------------------------------------------------------------------------------------------------- faults */

static trp_err
check_fault(const trp_test_fault *fault, trp_error *error)
{
    const int kinds = (fault->code != TRP_OK) + (fault->dies ? 1 : 0) + (fault->alloc > 0);

    if (kinds != 1)
        return TRI_FAIL(error, TRP_EINVAL, "fault has %s of code, dies and alloc; exactly one of them has to be set",
                        kinds == 0 ? "none" : "more than one");
    if (fault->actor != NULL)
        TRP_TRY(tri_check_text("fault.actor", fault->actor, error));
    if (fault->method != NULL)
        TRP_TRY(tri_check_text("fault.method", fault->method, error));
    return tri_check_reserved("fault", fault->reserved, 4, error);
}

trp_err
trp_test_inject(trp_runtime *runtime, const trp_test_fault *fault, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_local_fault *made;

    if (fault == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "fault is NULL");
    TRP_TRY(check_fault(fault, error));
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a fault");
    made->given = *fault;
    if (made->given.times == 0)
        made->given.times = 1;
    (void)tri_text_copy(made->actor, sizeof made->actor, fault->actor != NULL ? fault->actor : "");
    (void)tri_text_copy(made->method, sizeof made->method, fault->method != NULL ? fault->method : "");
    (void)tri_text_copy(made->message, sizeof made->message, fault->message != NULL ? fault->message : "");
    if (tri_test_enter(runtime, "trp_test_inject", &process, error) != TRP_OK) {
        free(made);
        return error != NULL ? error->code : TRP_EINVAL;
    }
    tri_list_append(&process->local->faults, &made->link);
    tri_process_unlock(process);
    return TRP_OK;
}

uint32_t
trp_test_pending(const trp_runtime *runtime)
{
    struct tri_process *process = NULL;
    uint32_t pending = 0;

    if (tri_test_enter(runtime, "trp_test_pending", &process, NULL) != TRP_OK)
        return 0;
    for (struct tri_node *node = process->local->faults.next; node != &process->local->faults; node = node->next)
        pending += TRI_OWNER(node, struct tri_local_fault, link)->given.times;
    tri_process_unlock(process);
    return pending;
}

trp_err
trp_test_crash(trp_actor *actor, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_local_actor *found;
    trp_err stuck = TRP_OK;

    TRP_TRY(tri_handle_enter(actor != NULL ? &actor->handle : NULL, "actor", &process, error));
    tri_process_unlock(process);
    TRP_TRY(tri_test_enter(actor->handle.runtime, "trp_test_crash", &process, error));
    found = tri_local_find(process->local, actor->handle.ref.entry.id);
    while (found == NULL && tri_local_step(process->local, &stuck)) /* its SPAWN is on its way */
        found = tri_local_find(process->local, actor->handle.ref.entry.id);
    if (found != NULL)
        tri_local_crash(process->local, found, "");
    tri_process_unlock(process);
    return TRP_OK;
}
