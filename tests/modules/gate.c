/*
 * gate.c - module "gate": calls that wait until they are let go, without a thread that sleeps; and calls that meet inside of
 * an actor that runs several at a time. Tests order what happens with it instead of sleeping.
 */
#include <pthread.h>
#include <stdlib.h>

#include <troupe/module.h>

/* ---------------------------------------------------------------------------------------------------------------- class Gate */

struct gate {
    trp_reply **held;
    size_t count;
};

/* Tokens may never be answered, and the state that has them may go without fini: they are nobody's to free. */
static trp_reply *volatile given[1024];
static size_t given_count;

static void
gate_fini(void *self)
{
    struct gate *gate = self;
    free(gate->held); /* those who wait are told that the actor has ended */
}

/* Answers when it is let go, with what `open` was given. */
static trp_err
gate_hold(trp_ctx *ctx, void *self)
{
    struct gate *gate = self;
    trp_reply **held = realloc(gate->held, (gate->count + 1) * sizeof *held);
    if (held == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for one more");
    gate->held = held;
    held[gate->count] = NULL;
    TRP_TRY(trp_defer(ctx, &held[gate->count]));
    given[given_count++ % 1024] = held[gate->count++];
    return TRP_OK;
}

/* How many it has let go. */
static trp_err
gate_open(trp_ctx *ctx, void *self)
{
    struct gate *gate = self;
    size_t count = gate->count;
    for (size_t i = 0; i < count; i++)
        trp_reply_value(&gate->held[i], ctx->args[0]);
    gate->count = 0;
    return trp_return(ctx, trp_i64((int64_t)count));
}

static trp_err
gate_refuse(trp_ctx *ctx, void *self)
{
    struct gate *gate = self;
    for (size_t i = 0; i < gate->count; i++)
        trp_reply_fail(&gate->held[i], (int32_t)ctx->args[0].as.i64, "the gate stays closed: %s", ctx->args[1].as.str);
    gate->count = 0;
    return TRP_OK;
}

static trp_err
gate_waiting(trp_ctx *ctx, void *self)
{
    const struct gate *gate = self;
    return trp_return(ctx, trp_i64((int64_t)gate->count));
}

struct later {
    trp_reply *reply;
    int64_t number;
};

static void *
answer_later(void *user)
{
    struct later *later = user;
    trp_reply_value(&later->reply, trp_i64(later->number));
    free(later);
    return NULL;
}

/* Answered by a thread of its own, maybe before this has returned. */
static trp_err
gate_from_thread(trp_ctx *ctx, void *self)
{
    pthread_t thread;
    (void)self;
    struct later *later = calloc(1, sizeof *later);
    if (later == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory");
    later->number = ctx->args[0].as.i64;
    trp_err err = trp_defer(ctx, &later->reply);
    if (err == TRP_OK && pthread_create(&thread, NULL, answer_later, later) == 0) {
        pthread_detach(thread);
        return TRP_OK;
    }
    free(later);
    return err != TRP_OK ? err : trp_fail(ctx, TRP_ELIMIT, "no thread");
}

static const trp_method gate_methods[] = {
    {.name = "hold", .fn = gate_hold},
    {.name = "open", .fn = gate_open, .args = "x:v=null"},
    {.name = "refuse", .fn = gate_refuse, .args = "cause:i, text:s"},
    {.name = "waiting", .fn = gate_waiting},
    {.name = "from_thread", .fn = gate_from_thread, .args = "n:i"},
    {0},
};

/* --------------------------------------------------------------------------------------------------------------- class Crowd */

enum { CROWD_SIZE = 4 };

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t inside, most;
};

static trp_err
crowd_init(trp_ctx *ctx, void *self)
{
    struct crowd *crowd = self;
    (void)ctx;
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_cond_init(&crowd->changed, NULL);
    return TRP_OK;
}

static void
crowd_fini(void *self)
{
    struct crowd *crowd = self;
    pthread_cond_destroy(&crowd->changed);
    pthread_mutex_destroy(&crowd->lock);
}

/* Returns when so many calls of it are, or were, inside at the same time. */
static trp_err
crowd_meet(trp_ctx *ctx, void *self)
{
    struct crowd *crowd = self;
    pthread_mutex_lock(&crowd->lock);
    crowd->inside++;
    if (crowd->inside > crowd->most)
        crowd->most = crowd->inside;
    pthread_cond_broadcast(&crowd->changed);
    while (crowd->most < ctx->args[0].as.i64)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    crowd->inside--;
    int64_t most = crowd->most;
    pthread_mutex_unlock(&crowd->lock);
    return trp_return(ctx, trp_i64(most));
}

static const trp_method crowd_methods[] = {
    {.name = "meet", .fn = crowd_meet, .args = "n:i"},
    {0},
};

static const trp_class gate_classes[] = {
    {.name = "Gate", .self_size = sizeof(struct gate), .fini = gate_fini, .methods = gate_methods},
    {
        .name = "Crowd",
        .self_size = sizeof(struct crowd),
        .init = crowd_init,
        .fini = crowd_fini,
        .methods = crowd_methods,
        .max_concurrency = CROWD_SIZE,
    },
    {0},
};

TRP_MODULE(gate, .classes = gate_classes, .version = "1");
