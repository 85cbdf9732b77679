/* test_invoke.c - one function is run: what it sees, and what becomes of what it returns, fails with or puts off. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/invoke.h"

static trp_err
refuse_ref(void *user, trp_ref *ref, struct tri_id *id, trp_error *error)
{
    (void)user;
    (void)ref;
    (void)id;
    return TRI_FAIL(error, TRP_EINVAL, "no references here");
}

static trp_err
refuse_actor(void *user, trp_actor *actor, struct tri_id *id, trp_error *error)
{
    (void)user;
    (void)actor;
    (void)id;
    return TRI_FAIL(error, TRP_EINVAL, "no actors here");
}

static struct trp_reply *answered;

static void
replied(void *user, struct trp_reply *reply)
{
    (void)user;
    reply->answered = true;
    answered = reply;
}

static const struct tri_handles handles = {refuse_ref, refuse_actor, NULL};
static const struct tri_execution_ops ops = {.handles = &handles, .replied = replied};
static const trp_place place = {.node = "here", .name = "Ann", .group = "", .master_addr = ""};
static const trp_module module = {.name = "test"};

static struct tri_callable callable;
static struct tri_execution execution;
static int64_t state;
static trp_error error;
static trp_reply *token;

static void
prepare(trp_method_fn *fn, const char *args)
{
    memset(&callable, 0, sizeof callable);
    callable.module = &module;
    callable.class_name = "Test";
    callable.name = "method";
    callable.method = fn;
    cr_assert_eq(tri_signature_parse(args, &callable.signature, &error), TRP_OK, "%s", error.message);
    execution.ops = &ops;
    execution.callable = &callable;
    execution.deadline_ns = TRI_NEVER;
    execution.actor = "Ann";
    execution.ctx.place = &place;
}

static void
done(void)
{
    tri_execution_fini(&execution);
    tri_signature_free(&callable.signature);
}

/* The value that it returned, as text. */
static const char *
value_text(const struct tri_section *section)
{
    static char text[512];
    struct tri_view view;
    cr_assert_eq(tri_view_open(&view, section, &error), TRP_OK, "%s", error.message);
    trp_format(tri_view_value(&view, 0), text, sizeof text);
    tri_view_close(&view);
    return text;
}

static struct tri_failure chain[8];

static const trp_error *
failure(const struct tri_section *section, uint32_t causes)
{
    uint32_t count = 0;
    cr_assert_eq(tri_error_unpack(section, chain, &count, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(count, causes + 1, "%u causes", count - 1);
    return &chain[0].error;
}

static void
invoke(trp_value positional, trp_value keywords)
{
    tri_invoke(&execution, &state, positional, keywords);
}

/* -------------------------------------------------------------------------------------------------------------------- values */

static trp_err
add(trp_ctx *ctx, void *self)
{
    int64_t *sum = self;
    *sum += trp_as_i64(ctx->args[0]) + trp_as_i64(ctx->args[1]);
    cr_expect_eq(tri_current_execution, &execution);
    cr_expect_str_eq(ctx->place->node, "here");
    return trp_return(ctx, trp_i64(*sum));
}

Test(invoke, arguments_defaults_and_keywords_reach_the_function)
{
    prepare(add, "a:i, b:i=10");
    trp_value one = trp_i64(1);
    invoke(trp_tuple(&one, 1), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
    cr_expect_str_eq(value_text(execution.section), "11");
    tri_execution_reset(&execution);
    execution.callable = &callable;
    invoke(trp_tuple(&one, 1), TRP_MAP("b", 5));
    cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
    cr_expect_str_eq(value_text(execution.section), "17");
    cr_expect_null(tri_current_execution);
    done();
}

/* Calls that do not fit are not run. */
Test(invoke, arguments_that_do_not_fit_are_refused)
{
    const trp_value text = trp_str("one"), three[] = {trp_i64(1), trp_i64(2), trp_i64(3)};
    const struct {
        trp_value positional, keywords;
        trp_err err;
        const char *says;
    } rows[] = {
        {trp_tuple(NULL, 0), trp_null(), TRP_EINVAL, "a"},
        {trp_tuple(&text, 1), trp_null(), TRP_ETYPE, "a"},
        {trp_tuple(three, 3), trp_null(), TRP_EINVAL, "3"},
        {trp_tuple(three, 1), TRP_MAP("c", 1), TRP_EINVAL, "c"},
        {trp_tuple(three, 1), TRP_MAP("a", 1), TRP_EINVAL, "a"},
    };
    prepare(add, "a:i, b:i=10");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        state = 0;
        execution.callable = &callable;
        invoke(rows[i].positional, rows[i].keywords);
        cr_assert_eq(execution.outcome, TRI_RAN_FAILURE, "row %zu", i);
        const trp_error *why = failure(execution.section, 0);
        cr_expect_eq(why->code, rows[i].err, "row %zu: %s", i, why->message);
        cr_expect_eq(why->ran, TRP_NOT_RUN);
        cr_expect(strstr(why->message, rows[i].says) != NULL, "row %zu: %s", i, why->message);
        cr_expect_str_eq(why->method, "method");
        cr_expect_str_eq(why->actor, "Ann");
        cr_expect_eq(state, 0);
        tri_execution_reset(&execution);
    }
    done();
}

static trp_err
return_nothing(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return TRP_OK;
}

Test(invoke, a_function_that_returns_nothing_returns_null)
{
    prepare(return_nothing, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
    cr_expect_str_eq(value_text(execution.section), "null");
    done();
}

static trp_err
return_twice(trp_ctx *ctx, void *self)
{
    (void)self;
    cr_expect_eq(trp_return(ctx, trp_i64(1)), TRP_OK);
    cr_expect_eq(trp_return(ctx, trp_i64(2)), TRP_EALREADY);
    cr_expect_eq(trp_defer(ctx, &token), TRP_EALREADY);
    return TRP_OK;
}

Test(invoke, the_first_return_counts)
{
    prepare(return_twice, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
    cr_expect_str_eq(value_text(execution.section), "1");
    done();
}

static trp_err
use_memory(trp_ctx *ctx, void *self)
{
    (void)self;
    char *small = trp_alloc(ctx, 3), *large = trp_alloc(ctx, 100000), *empty = trp_alloc(ctx, 0);
    cr_assert(small != NULL && large != NULL && empty != NULL);
    cr_expect_eq((uintptr_t)small % 16, 0);
    cr_expect_eq((uintptr_t)large % 16, 0);
    for (size_t i = 0; i < 100000; i++)
        cr_assert_eq(large[i], 0);
    memset(large, 'x', 100000);
    cr_expect_null(trp_alloc(ctx, SIZE_MAX));
    return trp_return(ctx, trp_bytes(large, 5));
}

Test(invoke, memory_is_zeroed_aligned_and_gone_afterwards)
{
    prepare(use_memory, "");
    for (int i = 0; i < 3; i++) {
        execution.callable = &callable;
        invoke(trp_tuple(NULL, 0), trp_null());
        cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
        tri_execution_reset(&execution);
    }
    done();
}

/* ------------------------------------------------------------------------------------------------------------------ failures */

static trp_err
fail_with_words(trp_ctx *ctx, void *self)
{
    (void)self;
    cr_expect_eq(trp_return(ctx, trp_i64(1)), TRP_OK); /* a failure outdoes what was returned before */
    return trp_fail(ctx, 77, "The board\nis %s.", "empty");
}

static trp_err
fail_bare(trp_ctx *ctx, void *self)
{
    (void)self;
    cr_expect_eq(TRI_FAIL(ctx->error, TRP_ETIMEDOUT, "handled long ago"), TRP_ETIMEDOUT);
    return TRP_ENOMEM;
}

static trp_err
fail_own(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return (trp_err)4711;
}

static trp_err
fail_stop(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return TRP_ESTOP;
}

static trp_err
fail_passing_on(trp_ctx *ctx, void *self)
{
    (void)self;
    TRP_TRY(TRI_FAIL(ctx->error, TRP_ETIMEDOUT, "the other did not answer"));
    return TRP_OK;
}

static trp_err
fail_to_pack(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_at(trp_list(NULL, 0), 0));
}

/* Functions that fail, and what their callers are told. */
Test(invoke, failures)
{
    static const struct {
        trp_method_fn *fn;
        trp_err err;
        int32_t cause;
        const char *message; /* begins so */
        uint32_t causes;
    } rows[] = {
        {fail_with_words, TRP_ETASK, 77, "The board is empty.", 0},
        {fail_bare, TRP_ETASK, TRP_ENOMEM, "Test.method returned TRP_ENOMEM and said no more", 0},
        {fail_own, TRP_ETASK, 4711, "Test.method returned 4711 and said no more", 0},
        {fail_stop, TRP_ESTOP, TRP_ESTOP, "TRP_ESTOP", 0},
        {fail_passing_on, TRP_ETASK, TRP_ETIMEDOUT, "the other did not answer", 1},
        {fail_to_pack, TRP_ETASK, TRP_EINVAL, "", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        prepare(rows[i].fn, "");
        invoke(trp_tuple(NULL, 0), trp_null());
        cr_assert_eq(execution.outcome, TRI_RAN_FAILURE, "row %zu", i);
        const trp_error *why = failure(execution.section, rows[i].causes);
        cr_expect_eq(why->code, rows[i].err, "row %zu: %s", i, why->message);
        cr_expect_eq(why->cause, rows[i].cause, "row %zu: %d", i, (int)why->cause);
        cr_expect_eq(why->ran, TRP_RAN);
        cr_expect_eq(why->rank, -1);
        cr_expect_eq(strncmp(why->message, rows[i].message, strlen(rows[i].message)), 0, "row %zu: %s", i,
                     why->message);
        cr_expect_str_eq(why->node, "here");
        tri_execution_reset(&execution);
        tri_signature_free(&callable.signature);
    }
    tri_execution_fini(&execution);
}

static trp_err
leave(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_cancelled(ctx) ? TRP_ECANCELLED : TRP_OK;
}

/* What it waited for had the same deadline, and said so first. */
Test(invoke, who_leaves_at_its_deadline_has_timed_out)
{
    static const struct {
        trp_method_fn *fn;
        trp_err err;
        const char *message; /* has this in it */
        uint32_t causes;
    } rows[] = {
        {leave, TRP_ETIMEDOUT, "method() of actor 'Ann' left when its deadline had passed", 0},
        {fail_passing_on, TRP_ETIMEDOUT, "the other did not answer", 1},
        {fail_with_words, TRP_ETASK, "The board is empty.", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        prepare(rows[i].fn, "");
        execution.deadline_ns = 1;
        invoke(trp_tuple(NULL, 0), trp_null());
        cr_assert_eq(execution.outcome, TRI_RAN_FAILURE, "row %zu", i);
        const trp_error *why = failure(execution.section, rows[i].causes);
        cr_expect_eq(why->code, rows[i].err, "row %zu: %s", i, why->message);
        cr_expect_not_null(strstr(why->message, rows[i].message), "row %zu: %s", i, why->message);
        tri_execution_reset(&execution);
        tri_signature_free(&callable.signature);
    }
    tri_execution_fini(&execution);
}

static struct tri_packed noted;

static trp_err
fail_with_chain(trp_ctx *ctx, void *self)
{
    (void)self;
    struct tri_failure inner = {.error = {.code = TRP_EACTORDIED, .message = "it died"}};
    struct tri_failure outer = {.error = {.code = TRP_ETASK, .cause = 9, .message = "its helper failed"},
                                .cause = &inner};
    cr_assert_eq(tri_error_pack(&noted, &outer, &error), TRP_OK, "%s", error.message);
    *ctx->error = outer.error;
    tri_execution_note(ctx->error, &noted.section);
    return TRP_ETASK;
}

Test(invoke, a_failure_that_is_passed_on_keeps_all_its_causes)
{
    prepare(fail_with_chain, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    const trp_error *why = failure(execution.section, 2);
    cr_expect_eq(why->code, TRP_ETASK);
    cr_expect_eq(why->cause, 9);
    cr_expect_str_eq(why->message, "its helper failed");
    cr_expect_str_eq(chain[2].error.message, "it died");
    tri_packed_fini(&noted);
    done();
}

/* ------------------------------------------------------------------------------------------------------------- delayed replies */

static trp_err
put_off(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_defer(ctx, &token);
}

Test(invoke, a_reply_can_be_given_later)
{
    prepare(put_off, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_DEFERRED);
    cr_assert_eq(execution.reply, token);
    trp_reply_value(&token, trp_i64(3));
    cr_expect_null(token);
    cr_assert_not_null(answered);
    cr_expect_not(answered->failed);
    cr_expect_str_eq(value_text(&answered->packed.section), "3");
    trp_reply_value(&token, trp_i64(4)); /* harmless */
    tri_reply_free(&answered);
    done();
}

Test(invoke, a_late_failure_says_where_it_came_from)
{
    prepare(put_off, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    trp_reply_fail(&token, 12, "nobody %s", "knew");
    cr_assert(answered != NULL && answered->failed);
    const trp_error *why = failure(&answered->packed.section, 0);
    cr_expect_eq(why->code, TRP_ETASK);
    cr_expect_eq(why->cause, 12);
    cr_expect_str_eq(why->message, "nobody knew");
    cr_expect_str_eq(why->actor, "Ann");
    cr_expect_str_eq(why->method, "method");
    tri_reply_free(&answered);
    done();
}

Test(invoke, a_late_value_that_is_none_fails_the_call)
{
    prepare(put_off, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    trp_reply_value(&token, trp_at(trp_list(NULL, 0), 0));
    cr_assert(answered != NULL && answered->failed);
    cr_expect_eq(failure(&answered->packed.section, 0)->cause, TRP_EINVAL);
    tri_reply_free(&answered);
    done();
}

static trp_err
put_off_into_a_held_token(trp_ctx *ctx, void *self)
{
    trp_reply *const first = token;
    (void)self;
    cr_expect_eq(trp_defer(ctx, &token), TRP_EALREADY);
    cr_expect(strstr(ctx->error->message, "has a token already") != NULL, "%s", ctx->error->message);
    cr_expect_eq(token, first);
    return trp_return(ctx, trp_i64(2)); /* it has given no reply yet */
}

Test(invoke, a_token_that_is_held_is_not_replaced_by_another)
{
    struct trp_reply *first;
    prepare(put_off, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    first = execution.reply;
    cr_assert_eq(execution.outcome, TRI_RAN_DEFERRED);
    execution.reply = NULL; /* kept by whoever surrounds it */
    tri_execution_reset(&execution);
    done();
    prepare(put_off_into_a_held_token, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_VALUE);
    cr_expect_str_eq(value_text(execution.section), "2");
    trp_reply_value(&token, trp_i64(3));
    cr_expect_eq(answered, first);
    tri_reply_free(&answered);
    done();
}

static trp_err
put_off_and_fail(trp_ctx *ctx, void *self)
{
    (void)self;
    TRP_TRY(trp_defer(ctx, &token));
    return trp_fail(ctx, 1, "no");
}

Test(invoke, a_function_that_fails_after_it_put_its_reply_off_has_failed)
{
    prepare(put_off_and_fail, "");
    invoke(trp_tuple(NULL, 0), trp_null());
    cr_assert_eq(execution.outcome, TRI_RAN_FAILURE);
    cr_assert_not_null(execution.reply);
    tri_reply_abandon(&execution.reply);
    trp_reply_value(&token, trp_i64(1));
    cr_expect(answered->abandoned);
    tri_reply_free(&answered);
    done();
}

/* ---------------------------------------------------------------------------------------------------------------- cancelling */

static bool seen_cancelled;

static trp_err
say_cancelled(trp_ctx *ctx, void *self)
{
    (void)self;
    seen_cancelled = trp_cancelled(ctx);
    return trp_return(ctx, trp_bool(seen_cancelled));
}

Test(invoke, a_function_sees_that_nobody_waits_any_more)
{
    uint8_t cancelled = TRI_OVERDUE;
    static const struct {
        bool flag;
        uint64_t deadline_ns;
        const char *says;
    } rows[] = {{false, TRI_NEVER, "false"}, {true, TRI_NEVER, "true"}, {false, 1, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        prepare(say_cancelled, "");
        cancelled = rows[i].flag ? TRI_OVERDUE : TRI_GOES_ON;
        execution.cancelled = &cancelled;
        execution.deadline_ns = rows[i].deadline_ns;
        invoke(trp_tuple(NULL, 0), trp_null());
        if (rows[i].says != NULL) {
            cr_expect_str_eq(value_text(execution.section), rows[i].says, "row %zu", i);
        } else { /* what comes after the deadline is no value any more */
            cr_expect(seen_cancelled);
            cr_expect_eq(execution.outcome, TRI_RAN_FAILURE, "row %zu", i);
        }
        tri_execution_reset(&execution);
        tri_signature_free(&callable.signature);
    }
    tri_execution_fini(&execution);
}
