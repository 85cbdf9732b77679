/*
 * fib_driver.c - `fib 20`: one task that becomes 21,891, and what the node did to get through with few processes.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

#include <troupe/troupe.h>

#include "examples.h"

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A call with n above 1 is two more. */
static int64_t
count_tasks(int64_t n)
{
    int64_t last = 1, count = 1;
    for (int64_t i = 2; i <= n; i++) {
        int64_t next = 1 + count + last;
        last = count;
        count = next;
    }
    return count;
}

/* What the node says of itself: how many tasks ran on a thread that waited, and how many hosts waited at once. */
static trp_err
print_figures(trp_runtime *rt, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value nodes;
    trp_err err = trp_query(rt, "nodes", &ref, error);
    if (err == TRP_OK)
        err = trp_get(ref, 10000, &nodes, error);
    for (size_t i = 0; err == TRP_OK && i < nodes.size; i++) {
        trp_value node = trp_at(nodes, i);
        printf("%s: %" PRId64 " ran in place; at most %" PRId64 " hosts waited at once, on %g CPUs\n",
               trp_as_str(trp_field(node, "name")), trp_as_i64(trp_field(node, "in_place")),
               trp_as_i64(trp_field(node, "waiting_most")), trp_as_f64(trp_field(node, "cpus")));
    }
    trp_ref_release(&ref);
    return err;
}

static trp_err
run(trp_runtime *rt, int64_t n, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value value;
    double began_s = now_s();
    TRP_TRY(trp_task(rt, "fib:fib", TRP_ARGS(n), &ref, error));
    trp_err err = trp_get(ref, TRP_FOREVER, &value, error);
    if (err == TRP_OK)
        printf("fib(%" PRId64 ") = %" PRId64 ", by %" PRId64 " tasks in %.2f s\n", n, trp_as_i64(value), count_tasks(n),
               now_s() - began_s);
    trp_ref_release(&ref);
    return err != TRP_OK ? err : print_figures(rt, error);
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    long n = argc > 1 ? strtol(argv[1], &end, 10) : 20;
    bool right = argc <= 2 && (argc < 2 || (end != argv[1] && *end == '\0')) && n >= 0 && n <= 40;
    if (wants_help(argc, argv) || !right) {
        fprintf(right || wants_help(argc, argv) ? stdout : stderr,
                "usage: fib [N]\n\nComputes the N-th Fibonacci number (0 to 40; 20) by tasks that wait for tasks.\n");
        return wants_help(argc, argv) ? 0 : 2;
    }
    trp_runtime *rt = NULL;
    trp_error error;
    trp_config config = {.node = {.module_path = module_path()}};
    trp_err err = trp_init(&config, &rt, &error);
    if (err == TRP_OK)
        err = run(rt, n, &error);
    if (err != TRP_OK)
        fprintf(stderr, "fib: %s\n", error.message);
    trp_shutdown(&rt);
    return err == TRP_OK ? 0 : 1;
}
