/* test_door.c - the side door: who comes in, what it passes, and how it tells a death. */
#include "helpers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct house {
    char directory[64], path[128];
    struct tri_door_server *server;
};

static void
set_up(struct house *house)
{
    memset(house, 0, sizeof *house);
    scratch_make(house->directory, "transport");
    (void)snprintf(house->path, sizeof house->path, "%s/door", house->directory);
    EXPECT(TRP_OK, tri_door_listen(house->path, &house->server, &why));
}

static void
tear_down(struct house *house)
{
    tri_door_server_close(&house->server);
    cr_assert_neq(access(house->path, F_OK), 0, "the socket stayed behind");
    scratch_remove(house->directory);
}

static void
wait_for(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&item, 1, DEADLINE_MS), 1);
}

static pid_t
start_child(const struct house *house, int (*main_fn)(const struct house *))
{
    const pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(main_fn(house));
    return pid;
}

static int
exit_code(pid_t pid)
{
    int status = 0;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Goes in, says which cookie it got and passes a descriptor; then answers and sleeps until it is killed. */
static int
knock_and_stay(const struct house *house)
{
    struct tri_greeting greeting;
    int pipe_ends[2];

    if (tri_door_greet(house->path, DEADLINE_MS, &greeting, &why) != TRP_OK || pipe(pipe_ends) != 0)
        return 1;
    if (write(pipe_ends[1], "hello", 5) != 5)
        return 2;
    if (tri_door_send(greeting.fd, &greeting.cookie, sizeof greeting.cookie, pipe_ends, 1, &why) != TRP_OK)
        return 3;
    for (;;)
        (void)pause();
}

Test(door, tells_who_came_gives_the_cookie_and_passes_descriptors)
{
    const uint64_t cookie = tri_random_secret();
    int fd, pidfd, passed[4] = {-1, -1, -1, -1};
    struct pollfd life = {.events = POLLIN};
    size_t size, count;
    struct house house;
    char text[6] = "";
    uint64_t echoed;
    int32_t came;
    pid_t pid;

    set_up(&house);
    EXPECT(TRP_EAGAIN, tri_door_accept(house.server, &fd, &pidfd, &came, &why));
    pid = start_child(&house, knock_and_stay);
    wait_for(tri_door_server_fd(house.server));
    EXPECT(TRP_OK, tri_door_accept(house.server, &fd, &pidfd, &came, &why));
    cr_assert_eq(came, pid);
    EXPECT(TRP_EAGAIN, tri_door_recv(fd, &echoed, sizeof echoed, &size, passed, 4, &count, &why));
    EXPECT(TRP_OK, tri_door_send(fd, &cookie, sizeof cookie, NULL, 0, &why));
    wait_for(fd);
    EXPECT(TRP_OK, tri_door_recv(fd, &echoed, sizeof echoed, &size, passed, 4, &count, &why));
    cr_assert(size == sizeof echoed && count == 1);
    cr_assert_eq(echoed, cookie);
    cr_assert_eq(read(passed[0], text, 5), 5);
    cr_assert_str_eq(text, "hello");
    cr_assert(fcntl(passed[0], F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    wait_for(fd);
    EXPECT(TRP_OK, tri_door_recv(fd, &echoed, sizeof echoed, &size, passed, 4, &count, &why));
    cr_assert_eq(size, 0, "no end of file at its death");
    life.fd = pidfd;
    cr_assert_eq(poll(&life, 1, DEADLINE_MS), 1);
    EXPECT(TRP_ENOENT, tri_door_send(fd, "x", 1, NULL, 0, &why));
    cr_assert_eq(exit_code(pid), 128 + SIGKILL);
    (void)close(fd);
    (void)close(pidfd);
    (void)close(passed[0]);
    tear_down(&house);
}

static int
expect_refused(const struct house *house)
{
    struct tri_greeting greeting = {.fd = -1};

    if (tri_door_greet(house->path, DEADLINE_MS, &greeting, &why) != TRP_EACCES || greeting.fd != -1)
        return 1;
    return strstr(why.message, "did not let this process in") != NULL ? 0 : 2;
}

Test(door, closed_before_the_cookie_means_not_let_in)
{
    struct house house;
    int fd, pidfd;
    int32_t came;
    pid_t pid;

    set_up(&house);
    pid = start_child(&house, expect_refused);
    wait_for(tri_door_server_fd(house.server));
    EXPECT(TRP_OK, tri_door_accept(house.server, &fd, &pidfd, &came, &why));
    (void)close(fd);
    (void)close(pidfd);
    cr_assert_eq(exit_code(pid), 0);
    tear_down(&house);
}

static int
expect_no_room(const struct house *house)
{
    struct tri_greeting greeting = {.fd = -1};

    if (tri_door_greet(house->path, DEADLINE_MS, &greeting, &why) != TRP_ELIMIT || greeting.fd != -1)
        return 1;
    return strstr(why.message, "ulimit -n") != NULL ? 0 : 2;
}

Test(door, who_finds_no_room_is_told_so)
{
    struct house house;
    int fd, pidfd;
    int32_t came;
    pid_t pid;

    set_up(&house);
    pid = start_child(&house, expect_no_room);
    wait_for(tri_door_server_fd(house.server));
    EXPECT(TRP_OK, tri_door_accept(house.server, &fd, &pidfd, &came, &why));
    tri_door_refuse(fd);
    (void)close(fd);
    (void)close(pidfd);
    cr_assert_eq(exit_code(pid), 0);
    tear_down(&house);
}

static int
knock_and_go(const struct house *house)
{
    struct tri_greeting greeting;

    return tri_door_greet(house->path, 0, &greeting, &why) == TRP_ETIMEDOUT ? 0 : 1;
}

Test(door, who_is_gone_already_is_not_let_in_but_the_next_one_is)
{
    struct house house;
    int fd, pidfd;
    int32_t came;
    pid_t gone, here;

    set_up(&house);
    gone = start_child(&house, knock_and_go);
    cr_assert_eq(exit_code(gone), 0);
    here = start_child(&house, knock_and_stay);
    do {
        wait_for(tri_door_server_fd(house.server));
    } while (tri_door_accept(house.server, &fd, &pidfd, &came, &why) == TRP_EAGAIN);
    cr_assert_eq(came, here);
    cr_assert_eq(kill(here, SIGKILL), 0);
    (void)exit_code(here);
    (void)close(fd);
    (void)close(pidfd);
    tear_down(&house);
}

Test(door, of_a_dead_node_is_replaced_and_of_a_living_one_is_not)
{
    struct tri_door_server *second = NULL;
    struct house house;
    pid_t pid;

    set_up(&house);
    EXPECT(TRP_EALREADY, tri_door_listen(house.path, &second, &why));
    cr_assert_null(second);
    cr_assert_eq(access(house.path, F_OK), 0, "the living one's socket is gone");
    tri_door_server_close(&house.server);
    pid = fork();
    if (pid == 0) {
        struct tri_door_server *server;
        _exit(tri_door_listen(house.path, &server, &why) == TRP_OK ? 0 : 1); /* its file stays */
    }
    cr_assert_eq(exit_code(pid), 0);
    cr_assert_eq(access(house.path, F_OK), 0);
    EXPECT(TRP_OK, tri_door_listen(house.path, &house.server, &why));
    tear_down(&house);
}

Test(door, paths_that_cannot_be_are_refused)
{
    static const struct {
        const char *name;
        trp_err listen, connect;
    } rows[] = {
        {"file", TRP_EACCES, TRP_EBROKER},
        {"missing/door", TRP_EACCES, TRP_EBROKER},
        {"open/door", TRP_EACCES, TRP_EBROKER},
        {"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789",
         TRP_EINVAL, TRP_EINVAL},
    };
    char directory[64], path[256];

    scratch_make(directory, "transport");
    (void)snprintf(path, sizeof path, "%s/file", directory);
    (void)close(open(path, O_CREAT | O_WRONLY, 0600));
    (void)snprintf(path, sizeof path, "%s/open", directory);
    cr_assert_eq(mkdir(path, 0755), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tri_door_server *server = NULL;
        struct tri_greeting greeting = {.fd = -1};
        (void)snprintf(path, sizeof path, "%s/%s", directory, rows[i].name);
        EXPECT(rows[i].listen, tri_door_listen(path, &server, &why));
        EXPECT(rows[i].connect, tri_door_greet(path, 100, &greeting, &why));
        cr_assert_null(server);
        cr_assert_eq(greeting.fd, -1);
    }
    scratch_remove(directory);
}

Test(door, a_server_that_says_nothing_is_not_waited_for_longer_than_asked)
{
    struct house house;
    struct tri_greeting greeting;
    uint64_t before;

    set_up(&house);
    before = tri_now_ns();
    EXPECT(TRP_ETIMEDOUT, tri_door_greet(house.path, 30, &greeting, &why));
    cr_assert_geq(tri_now_ns() - before, 29 * TRI_NS_PER_MS);
    tear_down(&house);
}

static size_t
count_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

Test(door, messages_that_do_not_fit_are_refused_and_leak_no_descriptor)
{
    int ends[2], some[5] = {0, 1, 2, 0, 1}, passed[4];
    static char large[70000];
    size_t size, count, before;
    char small[4];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    EXPECT(TRP_EINVAL, tri_door_send(ends[0], "", 0, NULL, 0, &why));
    EXPECT(TRP_EINVAL, tri_door_send(ends[0], large, sizeof large, NULL, 0, &why));
    EXPECT(TRP_EINVAL, tri_door_send(ends[0], "x", 1, some, 5, &why));
    before = count_descriptors();
    EXPECT(TRP_OK, tri_door_send(ends[0], "too long", 8, some, 2, &why));
    EXPECT(TRP_EPROTO, tri_door_recv(ends[1], small, sizeof small, &size, passed, 4, &count, &why));
    cr_assert(size == 0 && count == 0);
    EXPECT(TRP_OK, tri_door_send(ends[0], "xy", 2, some, 3, &why));
    EXPECT(TRP_EPROTO, tri_door_recv(ends[1], small, sizeof small, &size, passed, 2, &count, &why));
    cr_assert_eq(count_descriptors(), before);
    EXPECT(TRP_OK, tri_door_send(ends[0], large, 64 * 1024, some, 4, &why));
    EXPECT(TRP_OK, tri_door_recv(ends[1], large, sizeof large, &size, passed, 4, &count, &why));
    cr_assert(size == 64 * 1024 && count == 4);
    cr_assert_eq(count_descriptors(), before + 4);
}
