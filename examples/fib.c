/*
 * fib.c - tasks that wait for tasks: each fib(n) above 1 starts two and adds what they return. Of fib 20 these are 21,891
 * tasks, most of which wait at some time; while one waits, its slot of the node is another's.
 */
#include <troupe/module.h>

static trp_err
add_results(trp_ctx *ctx, trp_ref *const *refs)
{
    trp_value values[2];
    TRP_TRY(trp_get_all(refs, 2, TRP_FOREVER, values, ctx->error));
    return trp_return(ctx, trp_i64(trp_as_i64(values[0]) + trp_as_i64(values[1])));
}

static trp_err
fib(trp_ctx *ctx)
{
    int64_t n = ctx->args[0].as.i64;
    trp_ref *refs[2] = {NULL, NULL};
    if (n < 0 || n > 90)
        return trp_fail(ctx, TRP_EINVAL, "fib takes 0 to 90, found %lld", (long long)n);
    if (n < 2)
        return trp_return(ctx, trp_i64(n));
    trp_err err = trp_task(ctx->runtime, "fib:fib", TRP_ARGS(n - 1), &refs[0], ctx->error);
    if (err == TRP_OK)
        err = trp_task(ctx->runtime, "fib:fib", TRP_ARGS(n - 2), &refs[1], ctx->error);
    if (err == TRP_OK)
        err = add_results(ctx, refs);
    trp_ref_release(&refs[0]);
    trp_ref_release(&refs[1]);
    return err;
}

static const trp_function fib_tasks[] = {
    {.name = "fib", .fn = fib, .args = "n:i", .about = "the n-th Fibonacci number, by two tasks"},
    {0},
};

TRP_MODULE(fib, .tasks = fib_tasks, .version = "1");
