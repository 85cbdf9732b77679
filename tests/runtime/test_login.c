/*
 * test_login.c - processes whose first log-in meets a broker that dies: while the node lives they try again.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/actors.h"
#include "fake.h"
#include "transport/transport.h"

TestSuite(login, .timeout = 30);

static char directory[] = "/tmp/troupe-login-XXXXXX";
static char path[64];
static trp_error error;

/* A node's directory: this process is taken for its root. */
static void
make_node(bool with_root)
{
    cr_assert_not_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/node.pid", directory);
    if (!with_root)
        return;
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fprintf(file, "%d\n", (int)getpid());
    (void)fclose(file);
}

static void
remove_node(void)
{
    (void)snprintf(path, sizeof path, "%s/node.pid", directory);
    (void)unlink(path);
    fake_clean(directory);
}

/* A host that begins once the gate's other end closes. Forked before this process has threads: one of them might hold the
 * allocator's lock, which a copy never gets back. */
static pid_t
start_host_behind(const int gate[2])
{
    const pid_t pid = fork();
    char byte;
    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    (void)close(gate[1]);
    (void)!read(gate[0], &byte, 1);
    (void)close(gate[0]);
    struct tri_worker_start start = {
        .directory = directory,
        .token = 1,
        .module_path = "",
        .log_level = TRI_ERROR,
        .progress = mmap(NULL, TRI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    };
    _exit(trp_worker_main(&start));
}

static pid_t
start_host(void)
{
    int gate[2];
    pid_t pid;

    cr_assert_eq(pipe(gate), 0);
    pid = start_host_behind(gate);
    (void)close(gate[0]);
    (void)close(gate[1]);
    return pid;
}

/* A broker that opens its door to the first who knocks, and dies. */
static void
broker_that_dies(struct tri_door_server **server)
{
    struct pollfd knock = {.fd = tri_door_server_fd(*server), .events = POLLIN};
    int fd, pidfd;
    int32_t pid;

    cr_assert_eq(poll(&knock, 1, 10000), 1, "nobody knocked");
    cr_assert_eq(tri_door_accept(*server, &fd, &pidfd, &pid, &error), TRP_OK, "%s", error.message);
    (void)close(pidfd);
    (void)close(fd);
    tri_door_server_close(server);
}

Test(login, a_host_that_meets_a_dying_broker_logs_in_at_the_next_one)
{
    struct tri_door_server *server = NULL;
    struct fake *fake;
    pid_t host;

    make_node(true);
    (void)snprintf(path, sizeof path, "%s/door", directory);
    cr_assert_eq(tri_door_listen(path, &server, &error), TRP_OK, "%s", error.message);
    host = start_host();
    broker_that_dies(&server);
    fake = fake_start(directory);
    cr_expect(fake_await_hellos(fake, 1), "the host has given up");
    (void)kill(host, SIGKILL);
    cr_assert_eq(waitpid(host, NULL, 0), host);
    fake_stop(&fake);
    remove_node();
}

Test(login, a_host_whose_broker_dies_before_it_has_heard_all_tells_the_next_one)
{
    struct fake *fake;
    int status = 0, gate[2];
    pid_t host;

    make_node(true);
    cr_assert_eq(pipe(gate), 0);
    host = start_host_behind(gate);
    (void)close(gate[0]);
    fake = fake_start(directory);
    fake_make_actor(fake);
    (void)close(gate[1]);
    cr_expect(fake_await_hellos(fake, 1));
    cr_expect(fake_await_made(fake), "it does not say how its actor was made");
    fake_stop(&fake);
    fake = fake_start(directory);
    cr_expect(fake_await_hellos(fake, 1), "the host has left");
    cr_assert_eq(waitpid(host, &status, 0), host);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 2, "status %#x", status);
    fake_stop(&fake);
    remove_node();
}

Test(login, a_host_whose_node_is_gone_gives_up_at_once)
{
    int status = 0;
    pid_t host;

    make_node(false);
    host = start_host();
    cr_assert_eq(waitpid(host, &status, 0), host);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x", status);
    remove_node();
}
