/*
 * local_faults.c - local mode under test: what is to go wrong with a call, an actor that dies as by a crash, and the clock that
 * stands (troupe/testing.h). With the process's lock. It does not know how calls are chosen or run.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/local.h"

/* ------------------------------------------------------------------------------------------------------------- clock */

bool
tri_local_leap(struct tri_local *local, uint64_t *to_ns)
{
    if (local->clock_start_ns == 0)
        return false;
    if (local->running > 0 || *to_ns == TRI_NEVER) {
        *to_ns = TRI_NEVER;
        return false;
    }
    tri_clock_stand(*to_ns);
    tri_waiters_poke(local->process, true);
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ faults */

static const char *
method_of(const struct tri_local_call *call)
{
    return call->constructs ? "init" : tri_call_method(&call->letter->sections[0]);
}

static bool
is_for(const struct tri_local_fault *fault, const struct tri_local_call *call)
{
    const struct tri_local_actor *actor = call->actor;

    if (fault->given.method != NULL && strcmp(fault->method, method_of(call)) != 0)
        return false;
    if (fault->given.actor == NULL)
        return true;
    return actor != NULL && strcmp(fault->actor, actor->name[0] != '\0' ? actor->name : actor->class_name) == 0;
}

TRI_APART struct tri_local_fault *
tri_local_take_fault(struct tri_local *local, const struct tri_local_call *call)
{
    for (struct tri_node *node = local->faults.next; node != &local->faults; node = node->next) {
        struct tri_local_fault *fault = TRI_OWNER(node, struct tri_local_fault, link), *taken;
        if (!is_for(fault, call))
            continue;
        if (fault->given.skip > 0) {
            fault->given.skip--;
            continue;
        }
        if (--fault->given.times == 0) {
            tri_list_remove(&fault->link);
            return fault;
        }
        taken = malloc(sizeof *taken);
        if (taken == NULL)
            local->process->no_memory = true;
        else
            *taken = *fault;
        return taken;
    }
    return NULL;
}

void
tri_local_end_faults(struct tri_local *local)
{
    while (!tri_list_empty(&local->faults)) {
        struct tri_local_fault *fault = TRI_OWNER(local->faults.next, struct tri_local_fault, link);
        tri_list_remove(&fault->link);
        free(fault);
    }
    if (local->clock_start_ns != 0)
        tri_clock_stand(0);
}

static trp_ran
ran_of(const struct tri_local_fault *fault)
{
    if (fault->given.code == TRP_ETASK)
        return TRP_RAN;
    return fault->given.runs ? TRP_MAY_HAVE_RUN : TRP_NOT_RUN;
}

static trp_err
tell_fault(const struct tri_local_call *call, trp_error *error)
{
    const struct tri_local_fault *fault = call->fault;
    const trp_err code = fault->given.dies ? TRP_EACTORDIED : fault->given.code;

    (void)TRI_FAIL(error, code, "%s", fault->given.message != NULL ? fault->message : trp_strerror(code));
    error->ran = ran_of(fault);
    error->cause = fault->given.cause;
    (void)tri_text_copy(error->method, sizeof error->method, method_of(call));
    return code;
}

TRI_APART trp_err
tri_local_fault_before(struct tri_local_call *call, trp_error *error)
{
    const struct tri_local_fault *fault = call->fault;

    if (fault == NULL)
        return TRP_OK;
    call->execution.alloc_fails = fault->given.alloc;
    return fault->given.alloc > 0 || fault->given.runs ? TRP_OK : tell_fault(call, error);
}

TRI_APART trp_err
tri_local_fault_after(struct tri_local_call *call, trp_error *error)
{
    const struct tri_local_fault *fault = call->fault;

    if (fault == NULL || fault->given.alloc > 0 || !fault->given.runs)
        return TRP_OK;
    trp_ref_release(&call->execution.delegate); /* its answer is lost */
    return tell_fault(call, error);
}

/* ------------------------------------------------------------------------------------------------------------- death */

/* Of this process there is one; the record speaks of it as of the actor's own. */
static const char *
how_it_died(char *text, size_t size)
{
    (void)snprintf(text, size, "its process %d ended by signal %d (SIG%s)", (int)getpid(), SIGSEGV,
                   sigabbrev_np(SIGSEGV));
    return text;
}

void
tri_local_crash(struct tri_local *local, struct tri_local_actor *actor, const char *method)
{
    char how[100];

    if (actor->state >= TRI_LOCAL_FAILED)
        return;
    actor->crashed = true;
    (void)tri_text_copy(actor->died_in, sizeof actor->died_in, method);
    tri_local_end_actor(local, actor, how_it_died(how, sizeof how));
}

TRI_APART void
tri_local_die_of_fault(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_failure failure = {0};
    char who[TRI_NAME_MAX + 64], how[100];
    struct tri_about about;

    if (call->fault == NULL || !call->fault->given.dies)
        return;
    about = tri_local_about(call->actor, call->letter, !call->constructs, who, sizeof who);
    if (call->actor == NULL)
        about.who = "The task's host";
    about.ran = ran_of(call->fault);
    about.fate = about.ran == TRP_NOT_RUN ? "was not run" : "may have run";
    tri_about_died(&failure.error, &about, how_it_died(how, sizeof how));
    if (call->actor != NULL)
        tri_local_crash(local, call->actor, method_of(call));
    if (call->constructs || call->answered)
        return;
    call->answered = true;
    if (call->actor != NULL)
        failure.death = tri_local_death(call->actor, how);
    tri_local_fail(local, call->letter->route.result, &failure);
}
