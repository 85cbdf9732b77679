/*
 * keep.c - trp_keep and trp_kept: objects that the node holds for its programs. Any thread. What is kept lies with an actor of
 * the node's own (kept.c), which is found by its name and made when the first object comes; here is only what is said to it.
 */
#include "actors/checks.h"
#include "actors/submit.h"
#include "store/store.h"

#define HOLDER TRI_NODE_NAMESPACE "/kept"
enum { TRIES = 3 }; /* the holder may die between being found and being asked */

/* Whether this is the holder's name, and things are kept on disk that one before it has left. */
bool
tri_holder_sleeps(const struct tri_process *process, const char *name)
{
    return strcmp(name, HOLDER) == 0 && process->local == NULL && tri_kept_any(process->directory);
}

static trp_err
open_holder(trp_runtime *runtime, bool makes, trp_actor **holder, trp_error *error)
{
    if (makes)
        return tri_spawn_of_node(runtime, TRI_HOLDER_CLASS, HOLDER, holder, error);
    return trp_lookup(runtime, HOLDER, holder, error);
}

static trp_err
ask_once(trp_runtime *runtime, bool makes, const char *method, trp_value args, trp_ref **answer, trp_error *error)
{
    trp_actor *holder = NULL;
    trp_err err;

    TRP_TRY(open_holder(runtime, makes, &holder, error));
    err = trp_call(holder, method, args, answer, error);
    trp_actor_release(&holder);
    TRP_TRY(err);
    err = trp_get(*answer, TRP_FOREVER, NULL, error);
    if (err != TRP_OK)
        trp_ref_release(answer);
    return err;
}

/* What the holder refuses is this function's failure, not one of a call that the user never made. */
static trp_err
ask(trp_runtime *runtime, bool makes, const char *method, trp_value args, trp_ref **answer, trp_error *error)
{
    trp_err err = TRP_EACTORDIED;
    trp_error why;

    for (int i = 0; i < TRIES && err == TRP_EACTORDIED; i++)
        err = ask_once(runtime, makes, method, args, answer, &why);
    if (err == TRP_ETASK && why.cause > 0)
        return TRI_FAIL(error, (trp_err)why.cause, "%s", why.message);
    if (err != TRP_OK && error != NULL)
        *error = why;
    return err;
}

static trp_err
check(trp_ref *ref, const char *name, int64_t ttl_ms, trp_runtime **runtime, trp_error *error)
{
    struct tri_process *process = NULL;

    TRP_TRY(tri_handle_enter(ref != NULL ? &ref->handle : NULL, "ref", &process, error));
    *runtime = ref->handle.runtime;
    tri_process_unlock(process);
    if (name != NULL)
        TRP_TRY(tri_check_text("name", name, error));
    if (ttl_ms < TRP_FOREVER)
        return TRI_FAIL(error, TRP_EINVAL, "ttl_ms is %lld; it has to be a time in milliseconds, 0 or TRP_FOREVER",
                        (long long)ttl_ms);
    return TRP_OK;
}

/* Not one whose deadline has passed here alone: it may go on for long, and is waited for by nobody. */
static bool
has_ended(trp_ref *ref)
{
    struct tri_process *process = NULL;
    bool ended;

    if (tri_handle_enter(&ref->handle, "ref", &process, NULL) != TRP_OK)
        return false;
    ended = ref->handle.ref.state != TRI_REF_PENDING && !ref->handle.ref.local;
    tri_process_unlock(process);
    return ended;
}

/*
 * A result that came here before the broker had heard that it is kept may lie here alone, and this process may be about to end:
 * then the holder is asked to answer when it has it, too. What is pending when the holder's answer is here comes to the broker
 * when that knows better: it said the one before the other.
 */
static trp_err
keep(trp_runtime *runtime, trp_ref *ref, const char *name, int64_t ttl_ms, trp_ref **answer, trp_error *error)
{
    const bool was_here = has_ended(ref);
    trp_err err = ask(runtime, true, "keep", TRP_ARGS(TRP_LIST(ref), name, ttl_ms, trp_bool(was_here)), answer, error);

    if (err != TRP_OK || was_here || !has_ended(ref))
        return err;
    trp_ref_release(answer);
    return ask(runtime, true, "keep", TRP_ARGS(TRP_LIST(ref), name, ttl_ms, trp_bool(true)), answer, error);
}

trp_err
trp_keep(trp_ref *ref, const char *name, int64_t ttl_ms, trp_error *error)
{
    trp_runtime *runtime = NULL;
    trp_ref *answer = NULL;
    trp_err err;

    TRP_TRY(check(ref, name, ttl_ms, &runtime, error));
    if (name == NULL)
        name = trp_ref_id(ref);
    if (ttl_ms == 0) {
        err = ask(runtime, false, "drop", TRP_ARGS(TRP_LIST(ref), name), &answer, error);
        if (err == TRP_ENOENT || err == TRP_EACTORDIED)
            err = TRP_OK; /* nothing is kept here at all */
    } else {
        err = keep(runtime, ref, name, ttl_ms, &answer, error);
    }
    trp_ref_release(&answer);
    return err;
}

trp_err
trp_kept(trp_runtime *runtime, const char *name, trp_ref **ref, trp_error *error)
{
    trp_ref *answer = NULL;
    trp_value value;
    trp_err err;

    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    TRP_TRY(tri_check_text("name", name, error));
    err = ask(runtime, false, "find", TRP_ARGS(name), &answer, error);
    if (err == TRP_ENOENT || err == TRP_EACTORDIED)
        return TRI_FAIL(error, TRP_ENOENT, "nothing is kept under the name '%s'", name);
    TRP_TRY(err);
    err = trp_get(answer, 0, &value, error);
    if (err == TRP_OK)
        *ref = trp_ref_retain(trp_at(value, 0).as.ref);
    trp_ref_release(&answer);
    return err;
}
