/* teller.c - module "teller": what a module does that its author wants to see go wrong. Included by its test. */
#include <string.h>

#include <troupe/module.h>

struct teller {
    int64_t sum;
    trp_reply *replies[4]; /* deferred, for `now` to give */
    size_t count;
    trp_err heard;
};

static int teller_ended; /* how many had their fini */

static trp_err
teller_init(trp_ctx *ctx, void *self)
{
    struct teller *teller = self;
    teller->sum = ctx->args[0].as.i64;
    return TRP_OK;
}

static void
teller_fini(void *self)
{
    struct teller *teller = self;
    while (teller->count > 0)
        trp_reply_fail(&teller->replies[--teller->count], TRP_ECLOSED, "The teller has gone home.");
    teller_ended++;
}

static trp_err
teller_add(trp_ctx *ctx, void *self)
{
    struct teller *teller = self;
    teller->sum += ctx->args[0].as.i64;
    if (teller->sum < 0)
        return trp_fail(ctx, TRP_EINVAL, "%lld is owed.", (long long)-teller->sum);
    return trp_return(ctx, trp_i64(teller->sum));
}

/* A copy of the text, made of two pieces of memory. */
static trp_err
teller_say(trp_ctx *ctx, void *self)
{
    const trp_value text = ctx->args[0];
    char *first = trp_alloc(ctx, text.size + 1), *second = trp_alloc(ctx, text.size + 1);
    (void)self;
    if (first == NULL || second == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "There is no %s piece.", first == NULL ? "first" : "second");
    memcpy(first, text.as.str, text.size);
    memcpy(second, first, text.size);
    return trp_return(ctx, trp_str(second));
}

/* Answers when told to. */
static trp_err
teller_later(trp_ctx *ctx, void *self)
{
    struct teller *teller = self;
    TRP_TRY(trp_defer(ctx, &teller->replies[teller->count % 4]));
    teller->count++;
    return TRP_OK;
}

static trp_err
teller_now(trp_ctx *ctx, void *self)
{
    struct teller *teller = self;
    if (teller->count > 0)
        trp_reply_value(&teller->replies[--teller->count], ctx->args[0]);
    return TRP_OK;
}

/* Asks another teller, for at most a minute; what it says then is its own. */
static trp_err
teller_ask(trp_ctx *ctx, void *self)
{
    trp_ref *ref = NULL;
    trp_err err = trp_call(ctx->args[0].as.actor, "later", TRP_NOARGS, &ref, ctx->error);
    (void)self;
    if (err == TRP_OK)
        err = trp_get(ref, 60000, NULL, ctx->error);
    trp_ref_release(&ref);
    if (err == TRP_ETIMEDOUT)
        return trp_return(ctx, trp_str("nobody answers"));
    return err;
}

/* The same for as long as it takes; how that ended. */
static trp_err
teller_insist(trp_ctx *ctx, void *self)
{
    trp_ref *ref = NULL;
    trp_err err = trp_call(ctx->args[0].as.actor, "later", TRP_NOARGS, &ref, ctx->error);
    struct teller *teller = self;
    if (err == TRP_OK)
        err = trp_get(ref, TRP_FOREVER, NULL, ctx->error);
    trp_ref_release(&ref);
    teller->heard = err;
    return err;
}

static trp_err
teller_heard(trp_ctx *ctx, void *self)
{
    const struct teller *teller = self;
    return trp_return(ctx, trp_i64(teller->heard));
}

/* The result of another's add. */
static trp_err
teller_pass(trp_ctx *ctx, void *self)
{
    trp_ref *ref = NULL;
    (void)self;
    TRP_TRY(trp_call(ctx->args[0].as.actor, "add", TRP_ARGS(ctx->args[1]), &ref, ctx->error));
    trp_err err = trp_delegate(ctx, ref);
    trp_ref_release(&ref);
    return err;
}

/* Works until it is cancelled. */
static trp_err
teller_work(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_cancelled(ctx) ? TRP_ECANCELLED : trp_return(ctx, trp_str("worked"));
}

/* An object of its own, which it lets go of. */
static trp_err
teller_object(trp_ctx *ctx, void *self)
{
    trp_ref *ref = NULL;
    (void)self;
    TRP_TRY(trp_put(ctx->runtime, ctx->args[0], &ref, ctx->error));
    trp_err err = trp_return(ctx, TRP_LIST(ref));
    trp_ref_release(&ref);
    return err;
}

static trp_err
task_double(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(2 * ctx->args[0].as.i64));
}

static const trp_method teller_methods[] = {
    {.name = "add", .fn = teller_add, .args = "amount:i=1", .about = "adds to the sum, and says it"},
    {.name = "say", .fn = teller_say, .args = "text:s"},
    {.name = "later", .fn = teller_later},
    {.name = "now", .fn = teller_now, .args = "value:v"},
    {.name = "ask", .fn = teller_ask, .args = "other:a"},
    {.name = "insist", .fn = teller_insist, .args = "other:a"},
    {.name = "heard", .fn = teller_heard},
    {.name = "pass", .fn = teller_pass, .args = "other:a, amount:i"},
    {.name = "work", .fn = teller_work},
    {.name = "object", .fn = teller_object, .args = "value:v"},
    {0},
};

static const trp_class teller_classes[] = {
    {.name = "Teller",
     .self_size = sizeof(struct teller),
     .init = teller_init,
     .init_args = "sum:i=0",
     .fini = teller_fini,
     .methods = teller_methods},
    {0},
};

static const trp_function teller_tasks[] = {
    {.name = "double", .fn = task_double, .args = "number:i"},
    {0},
};

TRP_MODULE(teller, .classes = teller_classes, .tasks = teller_tasks);
