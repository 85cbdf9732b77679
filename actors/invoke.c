/*
 * invoke.c - runs one function and settles what came of it (invoke.h). On the thread that runs the function, without locks.
 * It must not know who asked for it, nor how the answer travels.
 */
#include "actors/invoke.h"

#include "actors/runtime.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct tri_execution *tri_current_execution;

/* ------------------------------------------------------------------------------------------------------------ memory */

enum { ARENA_BLOCK = 8192, ARENA_ALIGN = 16, CALL_SIZE = 2 * TRI_NAME_MAX + 32 };

struct tri_arena_block {
    struct tri_arena_block *next;
    size_t used, size;
    _Alignas(ARENA_ALIGN) unsigned char bytes[];
};

void *
tri_arena_alloc(struct tri_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct tri_arena_block *block = arena->last;
    if (block == NULL || block->size - block->used < size) {
        size_t capacity = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        block = malloc(sizeof *block + capacity);
        if (block == NULL)
            return NULL;
        block->next = NULL;
        block->used = 0;
        block->size = capacity;
        if (arena->last != NULL)
            arena->last->next = block;
        else
            arena->first = block;
        arena->last = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    memset(memory, 0, size);
    return memory;
}

static void
free_blocks(struct tri_arena_block *block)
{
    while (block != NULL) {
        struct tri_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void
tri_arena_reset(struct tri_arena *arena)
{
    struct tri_arena_block *first = arena->first;
    if (first == NULL)
        return;
    if (first->size > ARENA_BLOCK) {
        tri_arena_fini(arena);
        return;
    }
    free_blocks(first->next);
    first->next = NULL;
    first->used = 0;
    arena->last = first;
}

void
tri_arena_fini(struct tri_arena *arena)
{
    free_blocks(arena->first);
    arena->first = arena->last = NULL;
}

/* ---------------------------------------------------------------------------------------------------------- failures */

/* Fills in where it happened, unless that is said already. */
static void
say_where(trp_error *error, const char *actor, const char *method, const char *node)
{
    if (error->actor[0] == '\0')
        tri_text_copy(error->actor, sizeof error->actor, actor);
    if (error->method[0] == '\0')
        tri_text_copy(error->method, sizeof error->method, method);
    if (error->node[0] == '\0')
        tri_text_copy(error->node, sizeof error->node, node);
}

/* "add() of actor 'tally'", "task fib", as those who wait for it name it. */
static const char *
name_call(const struct tri_execution *execution, char *text, size_t size)
{
    const char *method = execution->callable->name;

    if (execution->actor != NULL && execution->actor[0] != '\0')
        (void)snprintf(text, size, "%s() of actor '%s'", method, execution->actor);
    else
        (void)snprintf(text, size, "task %s", method);
    return text;
}

static const char *
node_of(const struct tri_execution *execution)
{
    return execution->ctx.place != NULL && execution->ctx.place->node != NULL ? execution->ctx.place->node : "";
}

static void
pack_failure(struct tri_execution *execution, const struct tri_failure *failure)
{
    trp_err err = tri_error_pack(&execution->failure, failure, NULL);
    if (err != TRP_OK) { /* without its causes it is small */
        struct tri_failure bare = {.error = failure->error};
        err = tri_error_pack(&execution->failure, &bare, NULL);
    }
    TRI_ASSERT(err == TRP_OK);
    execution->outcome = TRI_RAN_FAILURE;
    execution->section = &execution->failure.section;
}

void
tri_execution_refuse(struct tri_execution *execution, const trp_error *error)
{
    struct tri_failure failure = {.error = *error};
    say_where(&failure.error, execution->actor, execution->callable != NULL ? execution->callable->name : "",
              node_of(execution));
    pack_failure(execution, &failure);
}

static bool
is_of_time(int32_t code)
{
    return code == TRP_ECANCELLED || code == TRP_ETIMEDOUT;
}

/* It left because its time was up, or that of what it waited for, which has no more: for whoever called it that is the deadline,
 * whichever of the two is seen first. */
static bool
left_for_its_deadline(const struct tri_execution *execution, trp_err err)
{
    const trp_error *said = &execution->error;
    const bool left = is_of_time((int32_t)err) || (said->code == err && is_of_time(said->cause));

    return left && execution->deadline_ns != TRI_NEVER && tri_now_ns() >= execution->deadline_ns;
}

static trp_err
code_of(const struct tri_execution *execution, trp_err err)
{
    if (tri_execution_cancelled(execution))
        return TRP_ECANCELLED;
    if (left_for_its_deadline(execution, err))
        return TRP_ETIMEDOUT;
    if (err == TRP_ECANCELLED && trp_cancelled(&execution->ctx))
        return TRP_ECANCELLED;
    return err == TRP_ESTOP ? TRP_ESTOP : TRP_ETASK;
}

void
tri_fail_promise(trp_error *error, const struct tri_execution *execution)
{
    char call[CALL_SIZE];

    (void)TRI_FAIL(error, TRP_ECANCELLED, "%s was cancelled before the reply that it had put off was there",
                   name_call(execution, call, sizeof call));
    error->ran = TRP_RAN;
    say_where(error, execution->actor, execution->callable->name, node_of(execution));
}

/* All that is known of a failure is its number. */
static void
say_code(trp_error *made, const struct tri_callable *callable, trp_err err)
{
    const char *words = trp_strerror(err), *dot = callable->class_name[0] != '\0' ? "." : "";
    char number[16];

    (void)snprintf(number, sizeof number, "%d", (int)err);
    if (strncmp(words, "TRP_", 4) != 0)
        words = number; /* one of its own */
    (void)snprintf(made->message, sizeof made->message, "%s%s%s returned %.*s and said no more", callable->class_name,
                   dot, callable->name, (int)strcspn(words, ":"), words);
}

/* Whether the function gave its own words (trp_fail), or passes on what another function told it. */
static void
settle_failure(struct tri_execution *execution, trp_err err)
{
    const trp_error *said = &execution->error;
    struct tri_failure failure = {.error = {.rank = -1, .ran = TRP_RAN}}, chain[8];
    char call[CALL_SIZE];
    trp_error *made = &failure.error;
    made->code = code_of(execution, err);
    if (said->code != err) { /* nothing was said about this code */
        made->cause = (int32_t)err;
        if (made->code == TRP_ETIMEDOUT || made->code == TRP_ECANCELLED)
            snprintf(made->message, sizeof made->message, "%s left when %s", name_call(execution, call, sizeof call),
                     made->code == TRP_ETIMEDOUT ? "its deadline had passed" : "it was cancelled");
        else if (made->code == TRP_ESTOP)
            snprintf(made->message, sizeof made->message, "%s", trp_strerror(err));
        else
            say_code(made, execution->callable, err);
    } else if (execution->own_words) {
        made->cause = said->cause;
        memcpy(made->message, said->message, sizeof made->message);
    } else {
        uint32_t count = 0;
        made->cause = err == TRP_ETASK ? said->cause : (int32_t)err;
        memcpy(made->message, said->message, sizeof made->message);
        if (execution->why_buf == NULL || tri_error_unpack(&execution->why, chain, &count, NULL) != TRP_OK ||
            count == 0 || strcmp(chain[0].error.message, said->message) != 0) {
            memset(&chain[0], 0, sizeof chain[0]);
            chain[0].error = *said;
        }
        failure.cause = &chain[0];
    }
    made->message[sizeof made->message - 1] = '\0';
    say_where(made, execution->actor, execution->callable->name, node_of(execution));
    pack_failure(execution, &failure);
}

void
tri_execution_note(const trp_error *error, const struct tri_section *section)
{
    struct tri_execution *execution = tri_current_execution;
    if (execution == NULL || error != &execution->error)
        return;
    tri_buf_release(&execution->why_buf);
    execution->why_buf = tri_buf_copy(section->data, (size_t)section->size);
    if (execution->why_buf == NULL)
        return; /* the chain ends here then; the error itself is in ctx->error */
    execution->why = *section;
    execution->why.data = execution->why_buf->data;
    execution->why.frame = NULL;
    execution->why.refs = NULL;
    execution->why.ref_count = 0;
}

/* ----------------------------------------------------------------------------------------------------------- running */

/* What trp_return_begin gave room to is written. Small ones are copied from here on, as others are. */
static void
seal(struct tri_packed *packed)
{
    tri_store_seal(packed->buf);
    packed->section.data = packed->buf->data;
    if (packed->section.size <= TRI_COPY_MAX)
        packed->section.frame = NULL;
}

static void
settle_value(struct tri_execution *execution)
{
    if (execution->outcome != TRI_RAN_VALUE)
        return;
    const bool cancelled = tri_execution_cancelled(execution);
    if (cancelled || (execution->deadline_ns != TRI_NEVER && tri_now_ns() >= execution->deadline_ns)) {
        char call[CALL_SIZE];
        trp_error late;
        (void)TRI_FAIL(&late, cancelled ? TRP_ECANCELLED : TRP_ETIMEDOUT, "%s returned after %s",
                       name_call(execution, call, sizeof call),
                       cancelled ? "it was cancelled" : "its deadline had passed");
        late.ran = TRP_RAN;
        tri_execution_refuse(execution, &late);
        return;
    }
    if (!execution->replied) {
        trp_err err = tri_value_pack(&execution->packed, trp_null(), execution->ops->handles, NULL, &execution->error);
        if (err != TRP_OK) {
            settle_failure(execution, err);
            return;
        }
    }
    if (execution->writes)
        seal(&execution->packed);
    execution->section = &execution->packed.section;
}

/* A child of fork that comes back from the method would go on as the host that it is a copy of, on that one's connection. */
static _Noreturn void
end_child(const struct tri_callable *callable)
{
    dprintf(STDERR_FILENO,
            "process %d, which %s%s%s forked, came back from it and is ended: such a child calls _exit or exec\n",
            (int)getpid(), callable->class_name, callable->class_name[0] != '\0' ? "." : "", callable->name);
    _exit(1);
}

void
tri_invoke_fitted(struct tri_execution *execution, void *self)
{
    const struct tri_callable *callable = execution->callable;
    execution->ctx.args = execution->fitted;
    execution->ctx.error = &execution->error;
    execution->error.code = TRP_OK;
    execution->outer = tri_current_execution;
    execution->depth = execution->outer != NULL ? execution->outer->depth + 1 : 0;
    tri_current_execution = execution;
    trp_err err = callable->task != NULL ? callable->task(&execution->ctx) : callable->method(&execution->ctx, self);
    if (tri_process_forked())
        end_child(callable);
    tri_current_execution = execution->outer;
    if (err == TRP_OK) {
        settle_value(execution);
        return;
    }
    trp_ref_release(&execution->delegate);
    settle_failure(execution, err);
}

void
tri_invoke(struct tri_execution *execution, void *self, trp_value positional, trp_value keywords)
{
    const struct tri_callable *callable = execution->callable;
    uint32_t count = 0;
    trp_error error;
    if (tri_signature_fit(callable->signature, callable->name, positional, keywords, execution->fitted, &count,
                          &execution->fit_memory, &error) == TRP_OK) {
        tri_invoke_fitted(execution, self);
        return;
    }
    error.ran = TRP_NOT_RUN;
    tri_execution_refuse(execution, &error);
}

void
tri_execution_inherited(const struct tri_execution *execution, struct tri_inherited *inherited)
{
    inherited->parent = execution->id;
    inherited->deadline_ns = execution->deadline_ns;
    inherited->trace = execution->trace;
    inherited->cancelled = tri_execution_cancelled(execution);
}

void
tri_execution_reset(struct tri_execution *execution)
{
    TRI_ASSERT(execution->delegate == NULL);
    if (execution->held != NULL)
        execution->ops->unhold(execution->ops->user, execution->held);
    execution->held = NULL;
    tri_buf_release(&execution->why_buf);
    if (execution->fit_memory != NULL) {
        free(execution->fit_memory);
        execution->fit_memory = NULL;
    }
    tri_arena_reset(&execution->memory);
    execution->callable = NULL;
    execution->outcome = TRI_RAN_VALUE;
    execution->section = NULL;
    execution->reply = NULL;
    execution->replied = execution->own_words = execution->writes = false;
    tri_packed_forget(&execution->packed);
    execution->allocs = execution->alloc_fails = 0;
    execution->cancelled = NULL;
    execution->trace = NULL;
    execution->waiting = execution->wait_failed = false;
}

void
tri_execution_fini(struct tri_execution *execution)
{
    tri_execution_reset(execution);
    tri_arena_fini(&execution->memory);
    tri_packed_fini(&execution->packed);
    tri_packed_fini(&execution->failure);
}

/* ----------------------------------------------------------------------------------------------------------- replies */

void
tri_reply_free(struct trp_reply **reply)
{
    struct trp_reply *freed = *reply;
    *reply = NULL;
    if (freed == NULL)
        return;
    if (freed->held != NULL)
        freed->ops->unhold(freed->ops->user, freed->held);
    tri_packed_fini(&freed->packed);
    free(freed);
}

void
tri_reply_cancel(trp_reply *reply)
{
    if (reply != NULL)
        __atomic_store_n(&reply->cancelled, true, __ATOMIC_RELAXED);
}

void
tri_reply_abandon(struct trp_reply **reply)
{
    struct trp_reply *left = *reply;
    *reply = NULL;
    if (left == NULL)
        return;
    tri_reply_cancel(left);
    left->abandoned = true;
    left->owner = NULL;
    if (left->answered)
        tri_reply_free(&left);
}

void
tri_reply_refuse(struct trp_reply *reply, const trp_error *error)
{
    struct tri_failure failure = {.error = *error};
    say_where(&failure.error, reply->actor, reply->callable->name, reply->node);
    trp_err err = tri_error_pack(&reply->packed, &failure, NULL);
    TRI_ASSERT(err == TRP_OK);
    reply->failed = true;
}
