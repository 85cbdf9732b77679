/*
 * testing_ctx.c - troupe/testing.h: a context as a host would make for one call, whose function the test calls by its name. On
 * the test's thread; replies that were deferred are given by any. It runs nothing itself.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/local.h"

enum { ARGUMENT_MS = 60 * 1000 };

/* What a trp_ctx * of trp_test_ctx points to. */
struct made {
    struct tri_execution execution; /* first */
    struct tri_execution_ops ops;
    struct tri_callable callable;
    struct tri_process *process;
    struct tri_packed packed; /* of the call */
    struct tri_arguments arguments;
    trp_ref **awaited; /* arguments that were references: their values are passed */
    size_t awaited_count;
    trp_value *items, *pairs;
    uint8_t cancelled;
    struct tri_view result;
    bool has_result;
    pthread_mutex_t lock; /* around what a reply that comes later touches: */
    bool freed;           /* only this reply keeps it */
};

static void
free_made(struct made *made)
{
    tri_signature_free(&made->callable.signature);
    tri_packed_fini(&made->packed);
    free(made->awaited);
    free(made->items);
    free(made->pairs);
    (void)pthread_mutex_destroy(&made->lock);
    free(made);
}

static bool
is_freed(struct made *made)
{
    bool freed;

    (void)pthread_mutex_lock(&made->lock);
    freed = made->freed;
    (void)pthread_mutex_unlock(&made->lock);
    return freed;
}

/* The process's local mode knows how. A reply that comes when there is none any more keeps nothing. */
static void *
hold(void *user, const struct tri_section *section)
{
    struct made *made = user;

    return is_freed(made) ? NULL : made->process->local->ops.hold(made->process->local, section);
}

static void
unhold(void *user, void *held)
{
    struct made *made = user;

    made->process->local->ops.unhold(made->process->local, held);
}

static void
replied(void *user, struct trp_reply *reply)
{
    struct made *made = user;
    bool freed;

    (void)pthread_mutex_lock(&made->lock);
    reply->answered = true;
    freed = made->freed;
    (void)pthread_mutex_unlock(&made->lock);
    if (!freed)
        return;
    tri_reply_free(&reply);
    free_made(made);
}

/* -------------------------------------------------------------------------------------------------------- arguments */

/* A reference at the top level is passed as its value. */
static trp_err
resolve(struct made *made, trp_value *value, trp_error *error)
{
    if (value->kind != TRP_REF)
        return TRP_OK;
    trp_ref *ref = value->as.ref;
    TRP_TRY(trp_get(ref, ARGUMENT_MS, value, error));
    made->awaited[made->awaited_count++] = trp_ref_retain(ref);
    return TRP_OK;
}

static trp_err
resolve_all(struct made *made, trp_value *args, trp_error *error)
{
    const size_t count = args->kind == TRP_ARGS ? args->size : 0;

    if (count == 0)
        return TRP_OK;
    made->items = calloc(count, sizeof *made->items);
    made->pairs = calloc(count, 2 * sizeof *made->pairs);
    made->awaited = calloc(count, sizeof(trp_ref *));
    if (made->items == NULL || made->pairs == NULL || made->awaited == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu arguments", count);
    for (size_t i = 0; i < count; i++) {
        trp_value *pair = &made->pairs[2 * i];
        made->items[i] = trp_at(*args, i);
        if (made->items[i].kind != TRP_KEYWORD) {
            TRP_TRY(resolve(made, &made->items[i], error));
            continue;
        }
        pair[0] = ((const trp_value *)made->items[i].as.opaque)[0];
        pair[1] = ((const trp_value *)made->items[i].as.opaque)[1];
        TRP_TRY(resolve(made, &pair[1], error));
        made->items[i] = trp_keyword(pair);
    }
    *args = trp_args(made->items, count);
    return TRP_OK;
}

/* As over the wire: packed, unpacked, fitted. */
static trp_err
pass(struct made *made, trp_runtime *runtime, trp_value args, trp_error *error)
{
    struct tri_execution *execution = &made->execution;
    struct tri_call call;
    uint32_t count = 0;

    TRP_TRY(resolve_all(made, &args, error));
    TRP_TRY(tri_call_pack(&made->packed, "function", args, &tri_process_handles, error));
    TRP_TRY(tri_call_unpack(&made->packed.section, &call, error));
    TRP_TRY(tri_arguments_open(&made->arguments, made->process, runtime, &call.args, &made->packed.section, 1,
                               &execution->memory, error));
    return tri_signature_fit(made->callable.signature, "function", made->arguments.positional, made->arguments.keywords,
                             execution->fitted, &count, &execution->fit_memory, error);
}

static trp_err
prepare(struct made *made, trp_runtime *runtime, const char *description, trp_value args, trp_error *error)
{
    struct tri_execution *execution = &made->execution;
    trp_error why;

    made->callable.class_name = "";
    made->callable.name = "function";
    if (tri_signature_parse(description != NULL ? description : "", &made->callable.signature, &why) != TRP_OK)
        return TRI_FAIL(error, why.code == TRP_ENOMEM ? TRP_ENOMEM : TRP_EMODULE, "the arguments \"%s\": %s",
                        description, why.message);
    made->ops = (struct tri_execution_ops){
        .handles = &tri_process_handles, .hold = hold, .unhold = unhold, .replied = replied, .user = made};
    execution->ops = &made->ops;
    execution->callable = &made->callable;
    execution->deadline_ns = TRI_NEVER;
    execution->cancelled = &made->cancelled;
    execution->actor = "";
    execution->ctx.runtime = runtime;
    execution->ctx.place = &made->process->local->place;
    execution->ctx.error = &execution->error;
    execution->ctx.args = execution->fitted;
    return pass(made, runtime, args, error);
}

trp_err
trp_test_ctx(trp_runtime *runtime, const char *description, trp_value args, trp_ctx **ctx, trp_error *error)
{
    struct tri_process *process = NULL;
    struct made *made;
    trp_ctx *given;
    trp_err err;

    if (ctx == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ctx is NULL");
    TRP_TRY(tri_test_enter(runtime, "trp_test_ctx", &process, error));
    tri_process_unlock(process);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a context");
    (void)pthread_mutex_init(&made->lock, NULL);
    made->process = process;
    err = prepare(made, runtime, description, args, error);
    given = &made->execution.ctx;
    if (err == TRP_OK)
        *ctx = given;
    else
        trp_test_ctx_free(&given);
    return err;
}

/* ---------------------------------------------------------------------------------------------------- what came of it */

static struct made *
made_of(trp_ctx *ctx)
{
    return (struct made *)(void *)ctx;
}

void
trp_test_cancel(trp_ctx *ctx)
{
    if (ctx == NULL)
        return;
    __atomic_store_n(&made_of(ctx)->cancelled, TRI_CANCELLED, __ATOMIC_RELAXED);
    tri_reply_cancel(made_of(ctx)->execution.reply);
}

/* Its value, for as long as the context lives. */
static trp_value
open_result(struct made *made, const struct tri_section *section)
{
    static const trp_value none = {.kind = TRP_NONE};
    trp_err err = TRP_OK;

    if (!made->has_result) {
        err = tri_view_open(&made->result, section, made->execution.ctx.error);
        if (err == TRP_OK && made->result.ref_count > 0) {
            tri_process_lock(made->process);
            err = tri_process_adopt(made->process, made->execution.ctx.runtime, section, &made->result,
                                    made->execution.ctx.error);
            tri_process_unlock(made->process);
            if (err != TRP_OK)
                tri_view_close(&made->result);
        }
        made->has_result = err == TRP_OK;
    }
    return made->has_result ? tri_view_value(&made->result, 0) : none;
}

static trp_value
reply_result(struct made *made)
{
    static const trp_value none = {.kind = TRP_NONE};
    struct trp_reply *reply = made->execution.reply;
    struct tri_failure chain[8];
    uint32_t count = 0;
    bool answered;

    (void)pthread_mutex_lock(&made->lock);
    answered = reply->answered;
    (void)pthread_mutex_unlock(&made->lock);
    if (!answered)
        return none;
    if (!reply->failed)
        return open_result(made, &reply->packed.section);
    if (tri_error_unpack(&reply->packed.section, chain, &count, made->execution.ctx.error) == TRP_OK && count > 0)
        *made->execution.ctx.error = chain[0].error;
    return none;
}

trp_value
trp_test_result(trp_ctx *ctx)
{
    trp_value value = {.kind = TRP_NONE};
    struct tri_execution *execution = (struct tri_execution *)(void *)ctx;

    if (ctx == NULL || !execution->replied)
        return value;
    if (execution->outcome == TRI_RAN_DEFERRED)
        return reply_result(made_of(ctx));
    if (execution->outcome == TRI_RAN_VALUE)
        return open_result(made_of(ctx), &execution->packed.section);
    if (trp_get(execution->delegate, 0, &value, ctx->error) != TRP_OK)
        value.kind = TRP_NONE;
    return value;
}

/* true: whoever has the reply frees the rest. */
static bool
leave_to_reply(struct made *made, struct trp_reply *reply)
{
    bool open;

    (void)pthread_mutex_lock(&made->lock);
    open = !reply->answered;
    tri_reply_cancel(reply);
    made->freed = open;
    (void)pthread_mutex_unlock(&made->lock);
    return open;
}

void
trp_test_ctx_free(trp_ctx **ctx)
{
    struct made *made = ctx != NULL ? made_of(*ctx) : NULL;
    struct trp_reply *reply;
    bool left;

    if (made == NULL)
        return;
    *ctx = NULL;
    for (size_t i = 0; i < made->awaited_count; i++)
        trp_ref_release(&made->awaited[i]);
    trp_ref_release(&made->execution.delegate);
    tri_process_lock(made->process);
    if (made->has_result && made->result.ref_count > 0)
        tri_process_disown(made->process, &made->result);
    tri_arguments_close(&made->arguments, made->process);
    reply = made->execution.reply;
    tri_execution_fini(&made->execution);
    left = reply != NULL && leave_to_reply(made, reply);
    if (!left)
        tri_reply_free(&reply);
    tri_process_unlock(made->process);
    if (made->has_result)
        tri_view_close(&made->result);
    if (!left)
        free_made(made);
}
