/*
 * ctx.c - what a method does with its context: trp_return, trp_fail, trp_delegate, trp_defer and the replies that come
 * later, trp_alloc, trp_cancelled. A trp_ctx is the beginning of a tri_execution (invoke.h), used by the thread that runs
 * it; replies are given by any thread. It must not know how answers travel.
 */
#include "actors/invoke.h"

#include "actors/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tri_execution *
execution_of(trp_ctx *ctx)
{
    return (struct tri_execution *)(void *)ctx;
}

static trp_err
refuse_second(const struct tri_execution *execution)
{
    return TRI_FAIL(execution->ctx.error, TRP_EALREADY, "%s has given its reply already", execution->callable->name);
}

/* A child that the method has forked replies to nobody. */
static trp_err
may_reply(struct tri_execution *execution)
{
    if (tri_process_forked())
        return TRI_FAIL(execution->ctx.error, TRP_EFORKED, "this process was forked from the one that runs %s",
                        execution->callable->name);
    return execution->replied ? refuse_second(execution) : TRP_OK;
}

/* Tells the surroundings to keep what a packed value names. */
static void *
hold(const struct tri_execution_ops *ops, const struct tri_section *section)
{
    if (section->ref_count == 0 || ops->hold == NULL)
        return NULL;
    return ops->hold(ops->user, section);
}

static trp_err
give_back(trp_ctx *ctx, trp_value value, struct tri_blanks *blanks)
{
    struct tri_execution *execution = execution_of(ctx);
    TRP_TRY(may_reply(execution));
    execution->packed.rooms = execution->ops->rooms;
    execution->packed.blanks = blanks;
    const bool is_argument =
        blanks == NULL && execution->ops->again != NULL && execution->ops->again(execution, value, &execution->packed);
    const trp_err err =
        is_argument ? TRP_OK : tri_value_pack(&execution->packed, value, execution->ops->handles, NULL, ctx->error);
    execution->packed.blanks = NULL;
    if (err != TRP_OK)
        return err;
    execution->held = hold(execution->ops, &execution->packed.section);
    execution->outcome = TRI_RAN_VALUE;
    execution->replied = true;
    return TRP_OK;
}

trp_err
trp_return(trp_ctx *ctx, trp_value value)
{
    return ctx != NULL ? give_back(ctx, value, NULL) : TRP_EINVAL;
}

trp_err
trp_return_begin(trp_ctx *ctx, trp_value value)
{
    struct tri_blanks blanks = {0};
    if (ctx == NULL)
        return TRP_EINVAL;
    const trp_err err = give_back(ctx, value, &blanks);
    if (err != TRP_OK)
        tri_blanks_undo(&blanks);
    else
        execution_of(ctx)->writes = true;
    tri_blanks_fini(&blanks);
    return err;
}

trp_err
trp_delegate(trp_ctx *ctx, trp_ref *ref)
{
    struct tri_execution *execution = execution_of(ctx);
    if (ctx == NULL)
        return TRP_EINVAL;
    TRP_TRY(may_reply(execution));
    if (ref == NULL)
        return TRI_FAIL(ctx->error, TRP_EINVAL, "trp_delegate: ref is NULL");
    execution->delegate = trp_ref_retain(ref);
    execution->outcome = TRI_RAN_DELEGATED;
    execution->replied = true;
    return TRP_OK;
}

/* One line, whatever was formatted. */
static void
set_words(char *message, size_t size, const char *format, va_list arguments)
{
    vsnprintf(message, size, format != NULL ? format : "", arguments);
    for (char *at = message; (at = strchr(at, '\n')) != NULL;)
        *at = at[1] == '\0' ? '\0' : ' ';
}

trp_err
trp_fail(trp_ctx *ctx, int32_t cause, const char *format, ...)
{
    struct tri_execution *execution = execution_of(ctx);
    va_list arguments;
    char message[sizeof ctx->error->message];
    if (ctx == NULL)
        return TRP_EINVAL;
    va_start(arguments, format); /* its arguments may lie in ctx->error */
    set_words(message, sizeof message, format, arguments);
    va_end(arguments);
    tri_fail(ctx->error, TRP_ETASK, "%s", message);
    ctx->error->ran = TRP_RAN;
    ctx->error->cause = cause;
    execution->own_words = true;
    return TRP_ETASK;
}

trp_err
trp_defer(trp_ctx *ctx, trp_reply **reply)
{
    struct tri_execution *execution = execution_of(ctx);
    if (ctx == NULL)
        return TRP_EINVAL;
    TRP_TRY(may_reply(execution));
    if (reply == NULL)
        return TRI_FAIL(ctx->error, TRP_EINVAL, "trp_defer: reply is NULL");
    if (*reply != NULL)
        return TRI_FAIL(ctx->error, TRP_EALREADY,
                        "trp_defer: *reply has a token already, whose caller would never be answered; answer it first");
    struct trp_reply *made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(ctx->error, TRP_ENOMEM, "no memory for a delayed reply");
    made->ops = execution->ops;
    made->callable = execution->callable;
    made->deadline_ns = execution->deadline_ns;
    tri_list_init(&made->link);
    tri_text_copy(made->actor, sizeof made->actor, execution->actor);
    tri_text_copy(made->node, sizeof made->node, ctx->place != NULL ? ctx->place->node : "");
    execution->reply = made;
    execution->outcome = TRI_RAN_DEFERRED;
    execution->replied = true;
    *reply = made;
    return TRP_OK;
}

/* NULL: there is none, it was given already, or it is the parent's of this process to give. */
static trp_reply *
take_reply(trp_reply **reply)
{
    trp_reply *given = reply != NULL && !tri_process_forked() ? *reply : NULL;
    if (given != NULL)
        *reply = NULL;
    return given;
}

static void
refuse_reply(trp_reply *reply, int32_t cause, const char *message)
{
    trp_error error = {.code = TRP_ETASK, .ran = TRP_RAN, .cause = cause, .rank = -1};
    tri_text_copy(error.message, sizeof error.message, message);
    tri_reply_refuse(reply, &error);
}

void
trp_reply_value(trp_reply **reply, trp_value value)
{
    trp_error error;
    trp_reply *given = take_reply(reply);
    if (given == NULL)
        return;
    given->packed.rooms = given->ops->rooms;
    trp_err err = tri_value_pack(&given->packed, value, given->ops->handles, NULL, &error);
    if (err != TRP_OK)
        refuse_reply(given, (int32_t)err, error.message);
    else
        given->held = hold(given->ops, &given->packed.section);
    given->ops->replied(given->ops->user, given);
}

void
trp_reply_fail(trp_reply **reply, int32_t cause, const char *format, ...)
{
    char message[sizeof((trp_error *)NULL)->message];
    trp_reply *given = take_reply(reply);
    if (given == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    set_words(message, sizeof message, format, arguments);
    va_end(arguments);
    refuse_reply(given, cause, message);
    given->ops->replied(given->ops->user, given);
}

static bool
has_passed(uint64_t deadline_ns)
{
    return deadline_ns != TRI_NEVER && tri_now_ns() >= deadline_ns;
}

bool
trp_reply_cancelled(const trp_reply *reply)
{
    return reply != NULL && (__atomic_load_n(&reply->cancelled, __ATOMIC_RELAXED) || has_passed(reply->deadline_ns));
}

bool
trp_cancelled(const trp_ctx *ctx)
{
    const struct tri_execution *execution = (const struct tri_execution *)(const void *)ctx;
    if (ctx == NULL)
        return false;
    if (execution->cancelled != NULL && __atomic_load_n(execution->cancelled, __ATOMIC_RELAXED) != TRI_GOES_ON)
        return true;
    return has_passed(execution->deadline_ns);
}

void *
trp_alloc(trp_ctx *ctx, size_t size)
{
    struct tri_execution *execution = execution_of(ctx);

    if (ctx == NULL || (execution->alloc_fails > 0 && ++execution->allocs >= execution->alloc_fails))
        return NULL;
    return tri_arena_alloc(&execution->memory, size > 0 ? size : 1);
}
