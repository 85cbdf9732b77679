/*
 * troupe/testing.h - what the tests of a module include: its methods called directly or in local mode, a clock that the test
 * moves, failures and deaths on request.
 *
 * Two ways to run what a module has. Directly: the test includes the module's source, makes a context, and calls the
 * function; what it returned is looked at in the context. In local mode: the module is linked into the test, which spawns
 * and calls as any driver does; everything runs on the test's thread while it waits.
 *
 *     trp_runtime *rt = NULL;
 *     trp_test_init((const trp_module *[]){&troupe_module_counter, NULL}, &rt, &error);
 *     trp_spawn(rt, "counter:Counter", TRP_NOARGS, NULL, &counter, &error);
 *     trp_test_call(counter, "increment", TRP_ARGS(5), &value, &error);
 *     TRP_TEST_EQUAL(value, 5);
 *
 * What holds for every function here: it is for local mode, and TRP_ENOTSUP with a node; it is called by the test, and
 * TRP_EINVAL inside a method. runtime.h's rules on threads, ownership and failure are these, too.
 */
#ifndef TROUPE_TESTING_H
#define TROUPE_TESTING_H

#include <troupe/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------------------------------------- beginning, and calling */

/* trp_init in local mode with these modules (ended by NULL; NULL: none but those of $TRP_MODULE_PATH), and trp_test_clock.
 * Ended by trp_shutdown. */
TRP_API TRP_CHECKED trp_err trp_test_init(const trp_module *const *modules, trp_runtime **runtime, trp_error *error);

/*
 * Loads the module in a file, as a host does: the same checks (who may write to it, its version, every row of its tables),
 * the same sentences. For trp_test_init, or to look at its tables. It stays loaded until the process ends. Needs no runtime;
 * any thread, one at a time.
 *
 * TRP_EINVAL: the name is not "NAME.so". TRP_ENOENT, TRP_EACCES: the file cannot be opened. TRP_EMODULE: it
 * is no module that this version loads.
 */
TRP_API TRP_CHECKED trp_err trp_test_load(const char *file, const trp_module **module, trp_error *error);

/* trp_call and trp_get in one: waits as long as it takes (one minute of the test's clock). *value (may be NULL) is valid until
 * the next trp_test_call of this runtime, or its end. */
TRP_API trp_err trp_test_call(trp_actor *actor, const char *method, trp_value args, trp_value *value, trp_error *error);

/* --------------------------------------------------------------------------------------------------------- time */

/*
 * From now on, time stands still in this runtime: deadlines, timeouts, trp_cancelled go by a clock that only the test moves.
 * It also leaps by itself to the end of a timeout, or to a deadline, when a thread waits for that and no function runs, so no
 * test waits for real: a trp_get of a minute for what never comes fails with TRP_ETIMEDOUT at once. Until trp_shutdown.
 * The system's clock is not touched: what a module reads there goes on. A module whose own threads answer later
 * (trp_reply_value) may find that its callers' timeouts have passed: wait for it with TRP_FOREVER.
 */
TRP_API trp_err trp_test_clock(trp_runtime *runtime, trp_error *error);

/* Milliseconds since trp_test_clock. 0 where time does not stand still. */
TRP_API int64_t trp_test_now_ms(const trp_runtime *runtime);

/* Lets so many milliseconds pass: whatever is due meanwhile happens, in its order, before this returns: calls run, deadlines
 * pass. 0 does what is due now. TRP_EINVAL: the clock runs by itself. */
TRP_API trp_err trp_test_advance(trp_runtime *runtime, int64_t ms, trp_error *error);

/* ----------------------------------------------------------------------------------------------------- failures */

/*
 * What is to go wrong with a call that is about to start. One of:
 *   code   the caller gets this error. With `runs` false the method does not run (error.ran is TRP_NOT_RUN); true: it does,
 *          and its answer is lost (TRP_MAY_HAVE_RUN), which is what a caller that repeats calls has to expect
 *   dies   its process dies of it, as by SIGSEGV: this call and those that wait get TRP_EACTORDIED, `fini` does not run,
 *          watchers get a death record. A task's process, too: here it is not started again, whatever its row says
 *   alloc  the method runs, and its trp_alloc number `alloc` (1: the first) and all later ones give NULL
 */
typedef struct trp_test_fault {
    const char *actor;   /* its name, else its "module:Class"; NULL: any, and tasks */
    const char *method;  /* "add"; "init": the constructor; "module:function"; NULL: any */
    uint32_t skip;       /* so many of these calls go well before */
    uint32_t times;      /* then so many go wrong; 0: 1 */
    trp_err code;        /* not TRP_OK, unless one of `dies` and `alloc` is set */
    int32_t cause;       /* trp_error.cause, of TRP_ETASK */
    const char *message; /* NULL: the code's text */
    bool runs;
    bool dies;
    uint32_t alloc;
    uint64_t reserved[4];
} trp_test_fault;

/* Adds one to those that wait for their call; of several that fit, the oldest happens. The texts are copied. */
TRP_API trp_err trp_test_inject(trp_runtime *runtime, const trp_test_fault *fault, trp_error *error);

/* How many are still to happen. Those that are left at the end of a test are often a method's name misspelt. */
TRP_API uint32_t trp_test_pending(const trp_runtime *runtime);

/* The actor's process dies now, as by SIGSEGV: see `dies`. Of a dead one: TRP_OK. */
TRP_API trp_err trp_test_crash(trp_actor *actor, trp_error *error);

/* -------------------------------------------------------------------------------------- a function called directly */

/*
 * A context as a host would make for one call: `args` are packed, unpacked and fitted to `description`, which is that of the
 * method's row ("step:i=1"; NULL: none). The function is then called by its name:
 *
 *     trp_test_ctx(rt, "step:i=1", TRP_ARGS(5), &ctx, &error);
 *     cr_expect_eq(counter_increment(ctx, &state), TRP_OK);
 *     cr_expect(trp_equal(trp_test_result(ctx), trp_i64(5)));
 *     trp_test_ctx_free(&ctx);
 *
 * ctx->runtime is the driver's, ctx->actor NULL, ctx->place that of a task. What went wrong in the function is in ctx->error,
 * as trp_fail or another left it. One context is for one call.
 *
 * TRP_EINVAL, TRP_ETYPE: the arguments do not fit. TRP_EMODULE: the description is wrong.
 */
TRP_API TRP_CHECKED trp_err trp_test_ctx(trp_runtime *runtime, const char *description, trp_value args, trp_ctx **ctx,
                                         trp_error *error);

/* From now on trp_cancelled(ctx) is true, and trp_reply_cancelled of the reply that it has put off. */
TRP_API void trp_test_cancel(trp_ctx *ctx);

/*
 * What the function has given: the value of trp_return; of trp_reply_value, once that was called; of the reference that
 * trp_delegate got, once it is there. TRP_NONE: nothing, or not yet, or trp_reply_fail (whose words are in ctx->error then).
 * Valid until the context is freed.
 */
TRP_API trp_value trp_test_result(trp_ctx *ctx);

/* Before trp_shutdown. A reply that was deferred and is still held may be given afterwards. */
TRP_API void trp_test_ctx_free(trp_ctx **ctx);

/* --------------------------------------------------------------------------------------------------- comparisons */

/* Whether a value differs from what is expected (trp_equal; two TRP_NONE do not). Then `text` says how, cut to `size`: both as
 * trp_format writes them, and the first place where they differ. Needs no runtime; any thread. */
TRP_API bool trp_test_differ(trp_value got, trp_value expected, char *text, size_t size);

/* The same of what a function returned; `error` (may be NULL) is what it has filled in. */
TRP_API bool trp_test_returned(trp_err got, trp_err expected, const trp_error *error, char *text, size_t size);

/*
 * The same as assertions, which end the test. `expected` is a value or what TRP_V takes:
 *
 *     TRP_TEST_RETURNS(trp_test_call(counter, "increment", TRP_ARGS(5), &value, &error), TRP_OK, &error);
 *     TRP_TEST_EQUAL(value, TRP_MAP("calls", 1, "mean", 5.0));
 *
 * A failure is Criterion's, whose header the test includes, too. With another framework TRP_TEST_FAIL, which takes what printf
 * does, is defined before this header is included.
 */
#define TRP_TEST_EQUAL(got, expected)                                                                                  \
    do {                                                                                                               \
        char trp_text_[1200];                                                                                          \
        if (trp_test_differ((got), TRP_V(expected), trp_text_, sizeof trp_text_))                                      \
            TRP_TEST_FAIL("%s\n%s", #got, trp_text_);                                                                  \
    } while (0)
#define TRP_TEST_RETURNS(call, code, error)                                                                            \
    do {                                                                                                               \
        const trp_err trp_got_ = (call);                                                                               \
        char trp_text_[1200];                                                                                          \
        if (trp_test_returned(trp_got_, (code), (error), trp_text_, sizeof trp_text_))                                 \
            TRP_TEST_FAIL("%s\n%s", #call, trp_text_);                                                                 \
    } while (0)
#ifndef TRP_TEST_FAIL
#define TRP_TEST_FAIL(...) cr_assert(0, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
