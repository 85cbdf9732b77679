/*
 * door.c - the side door: a UNIX SOCK_SEQPACKET connection beside each local link. It tells who somebody is, passes
 * descriptors, and its end of file is the news of a death. Any thread, one at a time per descriptor. Knows no envelope.
 */
#include "transport/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Instead of a cookie, none of which is 0. */
static const uint64_t no_room = 0;

enum { MESSAGE_MAX = 64 * 1024, DESCRIPTORS_MAX = 4, BACKLOG = 1024 };

struct tri_door_server {
    int fd;
    dev_t device;
    ino_t inode; /* of the socket's file: only our own is removed */
    char path[TRI_SOCKET_PATH_MAX + 1];
};

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static trp_err
make_address(const char *path, struct sockaddr_un *address, trp_error *error)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) > TRI_SOCKET_PATH_MAX)
        return TRI_FAIL(error, TRP_EINVAL,
                        "the path of a socket has %zu bytes, at most %d are possible: use a shorter directory, "
                        "set TROUPE_DIR (%s)",
                        strlen(path), TRI_SOCKET_PATH_MAX, path);
    tri_text_copy(address->sun_path, sizeof address->sun_path, path);
    return TRP_OK;
}

static trp_err
open_socket(int flags, int *fd, trp_error *error)
{
    *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
    if (*fd < 0)
        return tri_fail_system(error, TRP_ENOMEM, errno, "cannot make a socket");
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------------- listening */

/* Whoever may enter the directory may knock. */
static trp_err
check_directory(const char *path, trp_error *error)
{
    char directory[TRI_SOCKET_PATH_MAX + 1];
    struct stat status;
    char *slash;

    tri_text_copy(directory, sizeof directory, path);
    slash = strrchr(directory, '/');
    if (slash == NULL)
        tri_text_copy(directory, sizeof directory, ".");
    else
        slash[slash == directory ? 1 : 0] = '\0';
    if (stat(directory, &status) != 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot use the directory %s", directory);
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return TRI_FAIL(error, TRP_EACCES, "%s must belong to this user and be closed to others: chmod 700 %s",
                        directory, directory);
    return TRP_OK;
}

/* A socket's file stays behind when its process is killed: nobody listens there, and it may go. */
static trp_err
remove_stale(const struct sockaddr_un *address, trp_error *error)
{
    struct stat status;
    int fd, rc, errnum;

    if (lstat(address->sun_path, &status) != 0)
        return errno == ENOENT ? TRP_OK
                               : tri_fail_system(error, TRP_EACCES, errno, "cannot look at %s", address->sun_path);
    if (!S_ISSOCK(status.st_mode))
        return TRI_FAIL(error, TRP_EACCES, "%s is in the way and no socket: remove it", address->sun_path);
    TRP_TRY(open_socket(SOCK_NONBLOCK, &fd, error));
    rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    errnum = errno;
    close_fd(&fd);
    if (rc == 0 || errnum != ECONNREFUSED)
        return TRI_FAIL(error, TRP_EALREADY, "a node is running at %s", address->sun_path);
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot remove the socket of a dead node, %s",
                               address->sun_path);
    return TRP_OK;
}

static trp_err
start_listening(struct tri_door_server *server, const struct sockaddr_un *address, trp_error *error)
{
    struct stat status;

    TRP_TRY(check_directory(server->path, error));
    TRP_TRY(remove_stale(address, error));
    TRP_TRY(open_socket(SOCK_NONBLOCK, &server->fd, error));
    if (bind(server->fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return tri_fail_system(error, errno == EADDRINUSE ? TRP_EALREADY : TRP_EACCES, errno, "cannot listen at %s",
                               server->path);
    if (listen(server->fd, BACKLOG) != 0 || lstat(server->path, &status) != 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot listen at %s", server->path);
    server->device = status.st_dev;
    server->inode = status.st_ino;
    return TRP_OK;
}

trp_err
tri_door_listen(const char *path, struct tri_door_server **server, trp_error *error)
{
    struct tri_door_server *made;
    struct sockaddr_un address;
    trp_err err;

    TRP_TRY(make_address(path, &address, error));
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the side door");
    made->fd = -1;
    tri_text_copy(made->path, sizeof made->path, path);
    err = start_listening(made, &address, error);
    if (err != TRP_OK) {
        tri_door_server_close(&made);
        return err;
    }
    *server = made;
    return TRP_OK;
}

int
tri_door_server_fd(const struct tri_door_server *server)
{
    return server->fd;
}

void
tri_door_server_close(struct tri_door_server **server)
{
    struct tri_door_server *gone = *server;
    struct stat status;

    *server = NULL;
    if (gone == NULL)
        return;
    if (gone->inode != 0 && lstat(gone->path, &status) == 0 && status.st_ino == gone->inode &&
        status.st_dev == gone->device)
        (void)unlink(gone->path);
    close_fd(&gone->fd);
    free(gone);
}

/* ---------------------------------------------------------------------------------------------------------- accepting */

static bool
is_open(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

/* A pid may be given to another process between the connection and pidfd_open: if the door is open afterwards, the process
 * that came through it lived until then, and the pidfd is its. TRP_EAGAIN: it is gone. */
static trp_err
identify(int fd, int *pidfd, int32_t *pid, trp_error *error)
{
    struct ucred who = {0};
    socklen_t size = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return tri_fail_errno(error, TRP_EACCES, errno, "cannot tell who came through the side door");
    if (who.uid != geteuid())
        return TRI_FAIL(error, TRP_EACCES, "a process of user %u came through the side door of user %u", who.uid,
                        geteuid());
    *pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
    if (*pidfd < 0 && errno == ESRCH)
        return TRP_EAGAIN;
    if (*pidfd < 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot watch process %d", who.pid);
    if (!is_open(fd)) {
        close_fd(pidfd);
        return TRP_EAGAIN;
    }
    *pid = who.pid;
    return TRP_OK;
}

static trp_err
accept_socket(const struct tri_door_server *server, int *fd, trp_error *error)
{
    do
        *fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (*fd >= 0)
        return TRP_OK;
    if (errno == EAGAIN)
        return TRI_FAIL(error, TRP_EAGAIN, "nobody is at the side door");
    return tri_fail_system(error, TRP_ENOMEM, errno, "cannot open the side door to a process");
}

void
tri_door_refuse(int fd)
{
    (void)tri_door_send(fd, &no_room, sizeof no_room, NULL, 0, NULL); /* it may be gone already */
}

trp_err
tri_door_accept(struct tri_door_server *server, int *fd, int *pidfd, int32_t *pid, trp_error *error)
{
    for (;;) {
        int accepted = -1, watched = -1;
        trp_err err;
        TRP_TRY(accept_socket(server, &accepted, error));
        err = identify(accepted, &watched, pid, error);
        if (err == TRP_OK) {
            *fd = accepted;
            *pidfd = watched;
            return TRP_OK;
        }
        if (err == TRP_ELIMIT)
            tri_door_refuse(accepted);
        close_fd(&accepted);
        if (err != TRP_EAGAIN)
            return err;
    }
}

/* --------------------------------------------------------------------------------------------------------- connecting */

static trp_err
knock(int fd, const struct sockaddr_un *address, int timeout_ms, trp_error *error)
{
    /* A full backlog makes connect wait; for UNIX sockets this is what limits that. */
    const struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int rc;

    if (timeout_ms > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return tri_fail_errno(error, TRP_EINVAL, errno, "cannot limit the wait at %s", address->sun_path);
    do
        rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return TRP_OK;
    if (errno == EACCES || errno == EPERM)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot reach the broker at %s", address->sun_path);
    if (errno == EAGAIN)
        return TRI_FAIL(error, TRP_ETIMEDOUT, "the broker at %s did not open within %d ms", address->sun_path,
                        timeout_ms);
    return tri_fail_errno(error, TRP_EBROKER, errno, "no broker answers at %s", address->sun_path);
}

/* Waits until there is something to be read. */
static trp_err
await_word(int fd, const char *path, int timeout_ms, trp_error *error)
{
    const uint64_t start_ns = tri_now_ns();
    struct pollfd item = {.fd = fd, .events = POLLIN};
    int left_ms = timeout_ms, rc;

    while ((rc = poll(&item, 1, left_ms)) < 0 && errno == EINTR) {
        const uint64_t gone_ms = (tri_now_ns() - start_ns) / TRI_NS_PER_MS;
        if (timeout_ms >= 0)
            left_ms = gone_ms < (uint64_t)timeout_ms ? timeout_ms - (int)gone_ms : 0;
    }
    if (rc == 0)
        return TRI_FAIL(error, TRP_ETIMEDOUT, "the broker at %s said nothing within %d ms", path, timeout_ms);
    return TRP_OK;
}

static trp_err
read_cookie(const char *path, int timeout_ms, struct tri_greeting *greeting, trp_error *error)
{
    size_t size = 0;

    TRP_TRY(await_word(greeting->fd, path, timeout_ms, error));
    if (tri_door_recv(greeting->fd, &greeting->cookie, sizeof greeting->cookie, &size, greeting->fds, TRI_DOOR_FDS,
                      &greeting->fd_count, NULL) != TRP_OK)
        return TRI_FAIL(error, TRP_EPROTO, "what came from %s is no broker's greeting, or it is gone", path);
    if (size == sizeof greeting->cookie && greeting->cookie == no_room) {
        tri_greeting_close_fds(greeting);
        return TRI_FAIL(error, TRP_ELIMIT,
                        "the broker at %s has no descriptors for another process: allow the node more (ulimit -n)",
                        path);
    }
    if (size == sizeof greeting->cookie)
        return TRP_OK;
    if (size == 0)
        return TRI_FAIL(error, TRP_EACCES, "the broker at %s did not let this process in", path);
    return TRI_FAIL(error, TRP_EPROTO, "%s sent a cookie of %zu bytes, expected 8: it is no broker", path, size);
}

void
tri_greeting_close_fds(struct tri_greeting *greeting)
{
    for (size_t i = 0; i < greeting->fd_count; i++)
        close_fd(&greeting->fds[i]);
    greeting->fd_count = 0;
}

trp_err
tri_door_greet(const char *path, int timeout_ms, struct tri_greeting *greeting, trp_error *error)
{
    struct tri_greeting made = {.fd = -1};
    struct sockaddr_un address;
    trp_err err;

    TRP_TRY(make_address(path, &address, error));
    TRP_TRY(open_socket(0, &made.fd, error));
    err = knock(made.fd, &address, timeout_ms, error);
    if (err == TRP_OK)
        err = read_cookie(path, timeout_ms, &made, error);
    if (err != TRP_OK) {
        tri_greeting_close_fds(&made);
        close_fd(&made.fd);
        return err;
    }
    *greeting = made;
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- messages */

union control {
    char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    struct cmsghdr align;
};

trp_err
tri_door_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count, trp_error *error)
{
    union control control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (size == 0 || size > MESSAGE_MAX || fd_count > DESCRIPTORS_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "a message of %zu bytes and %zu descriptors; allowed are 1 to %d and %d",
                        size, fd_count, MESSAGE_MAX, DESCRIPTORS_MAX);
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.align = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, fd_count * sizeof(int));
    }
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return TRP_OK;
    if (errno == EAGAIN)
        return TRI_FAIL(error, TRP_EAGAIN, "the side door's queue is full");
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return TRI_FAIL(error, TRP_ENOENT, "the process behind the side door is gone");
    return tri_fail_errno(error, TRP_ELIMIT, errno, "cannot send %zu bytes through the side door", size);
}

/* Gives the descriptors that came to the caller; all of them or, if they are too many, none. */
static bool
take_descriptors(struct msghdr *message, int *fds, size_t fd_capacity, size_t *fd_count)
{
    bool whole = (message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    int came[DESCRIPTORS_MAX];
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); /* at most so many as there was room for */
        memcpy(came, CMSG_DATA(c), count * sizeof(int));
        break;
    }
    whole = whole && count <= fd_capacity;
    for (size_t i = 0; i < count; i++) {
        if (whole)
            fds[i] = came[i];
        else
            close_fd(&came[i]);
    }
    *fd_count = whole ? count : 0;
    return whole;
}

trp_err
tri_door_recv(int fd, void *data, size_t capacity, size_t *size, int *fds, size_t fd_capacity, size_t *fd_count,
              trp_error *error)
{
    union control control;
    struct iovec part = {.iov_base = data, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;

    *size = *fd_count = 0;
    do
        got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return TRI_FAIL(error, TRP_EAGAIN, "nothing has come through the side door");
    if (got < 0 && errno == ECONNRESET)
        return TRP_OK; /* the peer is gone, and did not read all it was sent */
    if (got < 0)
        return tri_fail_errno(error, TRP_EBROKER, errno, "cannot read from the side door");
    if (!take_descriptors(&message, fds, fd_capacity, fd_count))
        return TRI_FAIL(error, TRP_EPROTO,
                        "a message through the side door is larger than %zu bytes or %zu descriptors", capacity,
                        fd_capacity);
    *size = (size_t)got;
    return TRP_OK;
}
