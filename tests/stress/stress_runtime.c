/*
 * stress_runtime.c - several threads call, get, wait, put, release and watch on one runtime, then many that each have one
 * call out, and the runtime is shut down while threads wait; the broker is a process of its
 * own, so that ThreadSanitizer sees the runtime's locks and nothing of libzmq's. Exits with 0 when every result was right.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "tests/runtime/fake.c" /* its one user besides the runtime's suite */

enum { THREADS = 4, ROUNDS = 400, BATCH = 16, SINGLES = 16, SINGLE_ROUNDS = 300, STUCK = 6 };

static trp_runtime *runtime;
static trp_actor *actor;
static trp_ref *shared;
static _Atomic int wrong, called_back;

static void
check(bool right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "stress_runtime: %s\n", what);
    wrong++;
}

static void
count_back(trp_ref *ref, void *user)
{
    trp_value value;

    (void)user;
    check(trp_get(ref, 0, &value, NULL) == TRP_OK, "a callback came too early");
    called_back++;
}

static void
one_round(int64_t number)
{
    trp_ref *refs[BATCH] = {NULL}, *put = NULL, *again;
    size_t ready[BATCH], count = 0;
    trp_value value;

    for (int i = 0; i < BATCH; i++)
        check(trp_call(actor, "echo", TRP_ARGS(number + i), &refs[i], NULL) == TRP_OK, "trp_call");
    check(trp_wait(refs, BATCH, BATCH / 2, 10000, ready, &count, NULL) == TRP_OK && count == BATCH / 2, "trp_wait");
    check(trp_on_ready(refs[0], count_back, NULL, NULL) == TRP_OK, "trp_on_ready");
    for (int i = BATCH; i-- > 0;)
        check(trp_get(refs[i], 10000, &value, NULL) == TRP_OK && trp_as_i64(value) == number + i, "trp_get");
    check(trp_put(runtime, TRP_LIST(refs[1], actor), &put, NULL) == TRP_OK, "trp_put");
    for (int i = 0; i < BATCH; i++)
        trp_ref_release(&refs[i]);
    check(trp_get(put, 0, &value, NULL) == TRP_OK && value.size == 2, "trp_get of a put");
    again = trp_ref_retain(trp_at(value, 0).as.ref);
    trp_ref_release(&put);
    check(trp_get(again, 0, &value, NULL) == TRP_OK && trp_as_i64(value) == number + 1, "a nested reference");
    trp_ref_release(&again);
}

static void *
work(void *user)
{
    const int64_t number = (intptr_t)user * 1000000;

    for (int i = 0; i < ROUNDS && wrong == 0; i++) {
        one_round(number + i);
        if (i % 16 == 0) {
            trp_ref *mine = trp_ref_retain(shared);
            check(trp_get(mine, 0, NULL, NULL) == TRP_ETIMEDOUT, "the held call has ended");
            trp_ref_release(&mine);
        }
    }
    return NULL;
}

/* One call after the other: sleeps for its own result, or polls for all. Some give up early. */
static void *
call_singly(void *user)
{
    const int64_t number = (intptr_t)user * 1000000;
    trp_value value;

    for (int i = 0; i < SINGLE_ROUNDS && wrong == 0; i++) {
        trp_ref *ref = NULL;
        check(trp_call(actor, "echo", TRP_ARGS(number + i), &ref, NULL) == TRP_OK, "trp_call");
        if (i % 8 == 0) {
            const trp_err err = trp_get(ref, 0, &value, NULL);
            check(err == TRP_OK || err == TRP_ETIMEDOUT, "trp_get without waiting");
        }
        check(trp_get(ref, 10000, &value, NULL) == TRP_OK && trp_as_i64(value) == number + i, "trp_get of a single");
        trp_ref_release(&ref);
    }
    return NULL;
}

/* Until the runtime is shut down. */
static void *
get_stuck(void *user)
{
    const trp_err err = trp_get(shared, -1, NULL, NULL);

    (void)user;
    check(err == TRP_ECLOSED, "a wait ends with the runtime");
    return NULL;
}

static void
run_threads(int count, void *(*run)(void *user))
{
    pthread_t threads[SINGLES];

    for (int i = 0; i < count; i++)
        check(pthread_create(&threads[i], NULL, run, (void *)(intptr_t)(i + 1)) == 0, "pthread_create");
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
}

static void *
process_callbacks(void *user)
{
    (void)user;
    while (called_back < THREADS * ROUNDS && wrong == 0)
        (void)!trp_runtime_process(runtime, 1000, NULL);
    return NULL;
}

/* The broker's process: says that its door is there, then lives until the other end of the first pipe closes. */
static _Noreturn void
be_broker(const char *directory, int parent, int ready)
{
    struct fake *fake = fake_start(directory);
    char byte = 'r';

    if (write(ready, &byte, 1) == 1)
        (void)!read(parent, &byte, 1);
    fake_stop(&fake);
    _exit(0);
}

static void
run(const char *directory)
{
    const trp_config config = {.address = directory};
    pthread_t callbacks, stuck[STUCK];
    trp_error error = {.message = ""};
    trp_err err = trp_init(&config, &runtime, &error);

    check(err == TRP_OK, error.message);
    if (err != TRP_OK)
        return;
    check(trp_spawn(runtime, "m:C", TRP_NOARGS, NULL, &actor, NULL) == TRP_OK, "trp_spawn");
    check(trp_call(actor, "hold", TRP_NOARGS, &shared, NULL) == TRP_OK, "trp_call");
    check(pthread_create(&callbacks, NULL, process_callbacks, NULL) == 0, "pthread_create");
    run_threads(THREADS, work);
    (void)pthread_join(callbacks, NULL);
    run_threads(SINGLES, call_singly);
    for (int i = 0; i < STUCK; i++)
        check(pthread_create(&stuck[i], NULL, get_stuck, NULL) == 0, "pthread_create");
    trp_shutdown(&runtime);
    for (int i = 0; i < STUCK; i++)
        (void)pthread_join(stuck[i], NULL);
    trp_ref_release(&shared);
    trp_actor_release(&actor);
}

int
main(void)
{
    char directory[] = "/tmp/troupe-stress-XXXXXX", byte;
    int life[2], ready[2];
    pid_t child;

    if (mkdtemp(directory) == NULL || pipe(life) != 0 || pipe(ready) != 0)
        return 1;
    child = fork();
    if (child == 0) {
        (void)close(life[1]);
        (void)close(ready[0]);
        be_broker(directory, life[0], ready[1]);
    }
    (void)close(life[0]);
    (void)close(ready[1]);
    check(read(ready[0], &byte, 1) == 1, "the broker did not start");
    if (wrong == 0)
        run(directory);
    (void)close(life[1]);
    (void)waitpid(child, NULL, 0);
    fake_clean(directory);
    return wrong == 0 ? 0 : 1;
}
