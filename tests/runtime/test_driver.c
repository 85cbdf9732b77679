/*
 * test_driver.c - trp_init and trp_shutdown: states, refusals, forks; handles that outlive the runtime.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <troupe/troupe.h>
#include <unistd.h>

#include "actors/process.h"
#include "fake.h"

TestSuite(driver, .timeout = 30);

static struct fake *fake;
static char directory[128];
static trp_runtime *rt;
static trp_error error;

static void
start(void)
{
    fake = fake_start(NULL);
    strcpy(directory, fake_directory(fake));
    const trp_config config = {.address = directory, .reconnect_ms = 300};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
}

static void
stop(void)
{
    trp_shutdown(&rt);
    if (fake != NULL)
        fake_stop(&fake);
    fake_clean(directory);
}

Test(driver, shutdown_before_init_does_nothing)
{
    trp_shutdown(NULL);
    trp_shutdown(&rt);
    cr_expect_null(rt);
}

Test(driver, second_init_is_refused_and_after_shutdown_it_is_not, .init = start, .fini = stop)
{
    const trp_config config = {.address = directory};
    trp_runtime *second = NULL;

    cr_expect_eq(trp_init(&config, &second, &error), TRP_EALREADY);
    cr_expect_null(second);
    trp_shutdown(&rt);
    trp_shutdown(&rt);
    cr_expect_null(rt);
    cr_expect_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
}

Test(driver, address_where_nobody_answers_is_ebroker)
{
    char path[] = "/tmp/troupe-empty-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    const trp_config config = {.address = path};

    cr_expect_eq(trp_init(&config, &rt, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_null(rt);
    rmdir(path);
}

Test(driver, refused_configurations)
{
    static const trp_module linked = {.name = "linked"};
    static const trp_module *const none[] = {NULL}, *const some[] = {&linked, NULL};
    const struct {
        trp_config config;
        trp_err err;
    } rows[] = {
        {{.mode = (trp_mode)7}, TRP_EINVAL},
        {{.log_level = (trp_log_level)9}, TRP_EINVAL},
        {{.reconnect_ms = -1}, TRP_EINVAL},
        {{.default_namespace = ""}, TRP_EINVAL},
        {{.default_namespace = "a/b"}, TRP_EINVAL},
        {{.default_namespace = "a\n"}, TRP_EINVAL},
        {{.default_namespace = "a\xff"}, TRP_EINVAL},
        {{.reconnect_ms = INT64_MIN}, TRP_EINVAL},
        {{.node = {.num_gpus = NAN}}, TRP_EINVAL},
        {{.node = {.num_cpus = INFINITY}}, TRP_EINVAL},
        {{.node = {.num_cpus = -1}}, TRP_EINVAL},
        {{.reserved = {0, 1}}, TRP_EINVAL},
        {{.node = {.reserved = {1}}}, TRP_EINVAL},
        {{.address = "tcp://127.0.0.1:1", .modules = none}, TRP_ENOTSUP},
        {{.certificate = "key"}, TRP_ENOTSUP},
        {{.modules = some}, TRP_ENOTSUP},
        {{.address = "/tmp", .modules = some}, TRP_ENOTSUP},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        error.message[0] = '\0';
        cr_expect_eq(trp_init(&rows[i].config, &rt, &error), rows[i].err, "row %zu", i);
        cr_expect_neq(error.message[0], '\0', "row %zu has no sentence", i);
        cr_expect_null(rt);
    }
    cr_expect_eq(trp_init(NULL, NULL, &error), TRP_EINVAL);
}

Test(driver, child_of_a_fork_is_refused, .init = start, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    int status = 0;

    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_call(actor, "echo", TRP_ARGS(5), &ref, &error), TRP_OK);
    const pid_t child = fork();
    if (child == 0) {
        trp_runtime *other = NULL;
        trp_ref *second = NULL;
        const bool right = trp_call(actor, "echo", TRP_ARGS(1), &second, NULL) == TRP_EFORKED &&
                           trp_get(ref, 0, NULL, NULL) == TRP_EFORKED && trp_init(NULL, &other, NULL) == TRP_EFORKED &&
                           trp_put(rt, trp_i64(1), &second, NULL) == TRP_EFORKED && trp_runtime_fd(rt) == -1;
        trp_ref_release(&ref);
        trp_shutdown(&rt);
        _exit(right && rt == NULL && ref == NULL ? 0 : 1);
    }
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

Test(driver, handles_outlive_the_runtime_and_answer_eclosed, .init = start, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL, *put = NULL, *second = NULL;
    trp_value value;

    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK);
    cr_assert_eq(trp_call(actor, "hold", TRP_ARGS(5), &ref, &error), TRP_OK);
    cr_assert_eq(trp_put(rt, TRP_LIST(ref, actor), &put, &error), TRP_OK);
    cr_assert_eq(trp_get(put, 0, &value, &error), TRP_OK);
    cr_assert_eq(value.size, 2);
    trp_shutdown(&rt);
    cr_expect_eq(trp_get(ref, TRP_FOREVER, &value, &error), TRP_ECLOSED);
    cr_expect_eq(trp_get(put, 0, &value, &error), TRP_ECLOSED);
    cr_expect_eq(trp_call(actor, "echo", TRP_NOARGS, &second, &error), TRP_ECLOSED);
    cr_expect_eq(strlen(trp_ref_id(put)), 32);
    second = trp_ref_retain(ref);
    trp_ref_release(&second);
    trp_ref_release(&ref);
    trp_ref_release(&put);
    trp_actor_release(&actor);
    cr_expect_null(ref);
}

static void *
wait_for_ever(void *ref)
{
    trp_error why;

    return (void *)(intptr_t)trp_get(ref, TRP_FOREVER, NULL, &why);
}

Test(driver, waiters_in_other_threads_get_eclosed, .init = start, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    pthread_t threads[3];
    void *result;

    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK);
    cr_assert_eq(trp_call(actor, "hold", TRP_ARGS(5), &ref, &error), TRP_OK);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, wait_for_ever, ref);
    cr_assert(fake_await_calls(fake, 1));
    trp_shutdown(&rt);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        cr_expect_eq((intptr_t)result, TRP_ECLOSED);
    }
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

static void *
process_for_ever(void *user)
{
    trp_error why;

    (void)user;
    return (void *)(intptr_t)trp_runtime_process(rt, -1, &why);
}

/* A thread waits in the runtime. */
static bool
somebody_is_inside(void)
{
    struct tri_process *process = tri_process_here();
    bool inside = false;

    for (const uint64_t until_ns = tri_now_ns() + 10 * TRI_NS_PER_S; !inside && tri_now_ns() < until_ns;) {
        (void)sched_yield();
        tri_process_lock(process);
        inside = process->inside > 0;
        tri_process_unlock(process);
    }
    return inside;
}

Test(driver, one_that_runs_callbacks_in_another_thread_gets_eclosed, .init = start, .fini = stop)
{
    pthread_t thread;
    void *result;

    pthread_create(&thread, NULL, process_for_ever, NULL);
    cr_assert(somebody_is_inside());
    trp_shutdown(&rt); /* the broker closes its door when it hears of that */
    pthread_join(thread, &result);
    cr_expect_eq((intptr_t)result, TRP_ECLOSED);
}

Test(driver, broker_that_dies_and_does_not_come_back_is_ebroker, .init = start, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL, *second = NULL;

    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK);
    cr_assert_eq(trp_call(actor, "hold", TRP_ARGS(5), &ref, &error), TRP_OK);
    cr_assert(fake_await_calls(fake, 1));
    fake_stop(&fake);
    cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_eq(trp_call(actor, "echo", TRP_ARGS(5), &second, &error), TRP_EBROKER);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

/* Stopped, say: it lets processes in and goes on to say nothing. */
Test(driver, calls_fail_when_the_next_broker_does_not_answer, .init = start, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;

    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK);
    cr_assert_eq(trp_call(actor, "hold", TRP_ARGS(5), &ref, &error), TRP_OK);
    cr_assert(fake_await_calls(fake, 1));
    fake_stop(&fake);
    fake = fake_start_silent(directory);
    cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_expect(fake_await_hellos(fake, 1), "it never asked");
    cr_expect_not_null(strstr(error.message, "stopped, or hangs"), "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

Test(driver, init_fails_when_the_broker_does_not_answer)
{
    fake = fake_start_silent(NULL);
    strcpy(directory, fake_directory(fake));
    const trp_config config = {.address = directory};
    cr_expect_eq(trp_init(&config, &rt, &error), TRP_EBROKER, "%s", error.message);
    cr_expect_null(rt);
    cr_expect(fake_await_hellos(fake, 2), "it asked once only");
    cr_expect_not_null(strstr(error.message, "stopped, or hangs"), "%s", error.message);
    fake_stop(&fake);
    fake_clean(directory);
}

Test(driver, calls_go_on_with_the_next_broker, .fini = stop)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;

    fake = fake_start(NULL);
    strcpy(directory, fake_directory(fake));
    const trp_config config = {.address = directory, .reconnect_ms = 10000};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK);
    cr_assert_eq(trp_call(actor, "hold", TRP_ARGS(5), &ref, &error), TRP_OK);
    cr_assert(fake_await_calls(fake, 1));
    fake_stop(&fake);
    fake = fake_start(directory);
    cr_assert(fake_await_calls(fake, 1), "the call is said again");
    fake_answer_held(fake);
    cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}
