/*
 * control.c - messages between the root and its broker: writing, queueing, checking. It knows neither side's state.
 *
 * Thread: whoever owns the end.
 */
#include "broker/node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct tri_control_waiting {
    struct tri_control_waiting *next;
    size_t size;
    uint8_t bytes[];
};

/* Of each kind: its name, the size of its struct, and how many texts it has at least. */
static const struct control_row {
    const char *name;
    size_t size;
    uint32_t texts;
} rows[TRI_CONTROL_KIND_COUNT] = {
    [TRI_CONTROL_START] = {"START", sizeof(struct tri_control_start), 2},
    [TRI_CONTROL_EXPECTED] = {"EXPECTED", offsetof(struct tri_control_expected, living), 0},
    [TRI_CONTROL_FORKED] = {"FORKED", sizeof(struct tri_control_head), 0},
    [TRI_CONTROL_FORK_FAILED] = {"FORK_FAILED", sizeof(struct tri_control_head), 1},
    [TRI_CONTROL_EXITED] = {"EXITED", sizeof(struct tri_control_exited), 6},
    [TRI_CONTROL_LINE] = {"LINE", sizeof(struct tri_control_line), 1},
    [TRI_CONTROL_STOP] = {"STOP", sizeof(struct tri_control_head), 0},
    [TRI_CONTROL_READY] = {"READY", sizeof(struct tri_control_head), 0},
    [TRI_CONTROL_FAILED] = {"FAILED", sizeof(struct tri_control_head), 1},
    [TRI_CONTROL_FORK] = {"FORK", sizeof(struct tri_control_fork), 1},
    [TRI_CONTROL_LABEL] = {"LABEL", sizeof(struct tri_control_head), 1},
    [TRI_CONTROL_KILL] = {"KILL", sizeof(struct tri_control_head), 1},
    [TRI_CONTROL_DRIVER] = {"DRIVER", sizeof(struct tri_control_driver), 0},
    [TRI_CONTROL_BURY] = {"BURY", sizeof(struct tri_control_bury), 0},
};

const char *
tri_control_name(uint32_t kind)
{
    return kind < TRI_CONTROL_KIND_COUNT && rows[kind].name != NULL ? rows[kind].name : "?";
}

void
tri_control_init(struct tri_control *control, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    *control = (struct tri_control){.fd = fd};
    control->last = &control->first;
}

void
tri_control_fini(struct tri_control *control)
{
    while (control->first != NULL) {
        struct tri_control_waiting *next = control->first->next;
        free(control->first);
        control->first = next;
    }
    if (control->fd >= 0)
        close(control->fd);
    *control = (struct tri_control){.fd = -1};
    control->last = &control->first;
}

/* 0: sent, EAGAIN: not now, else the error. */
static int
send_now(int fd, struct iovec *parts, size_t part_count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
    while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == ENOBUFS || errno == EWOULDBLOCK)
            return EAGAIN;
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static trp_err
queue(struct tri_control *control, const struct iovec *parts, size_t part_count, size_t size, trp_error *error)
{
    struct tri_control_waiting *waiting = malloc(sizeof *waiting + size);
    if (waiting == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message of %zu bytes between root and broker", size);
    waiting->next = NULL;
    waiting->size = size;
    size_t at = 0;
    for (size_t i = 0; i < part_count; i++) {
        memcpy(waiting->bytes + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    *control->last = waiting;
    control->last = &waiting->next;
    control->waiting_bytes += size;
    return TRP_OK;
}

trp_err
tri_control_send(struct tri_control *control, void *message, size_t size, const char *const *texts, uint32_t text_count,
                 trp_error *error)
{
    struct iovec parts[1 + TRI_CONTROL_TEXTS_MAX];
    struct tri_control_head *head = message;
    if (text_count > TRI_CONTROL_TEXTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%u texts in a message between root and broker, at most %d", text_count,
                        TRI_CONTROL_TEXTS_MAX);
    head->text_count = text_count;
    parts[0] = (struct iovec){.iov_base = message, .iov_len = size};
    size_t total = size;
    for (uint32_t i = 0; i < text_count; i++) {
        parts[1 + i] = (struct iovec){.iov_base = (void *)(uintptr_t)texts[i], .iov_len = strlen(texts[i]) + 1};
        total += parts[1 + i].iov_len;
    }
    if (total > TRI_CONTROL_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%s of %zu bytes, at most %d: shorten names and environment",
                        tri_control_name(head->kind), total, TRI_CONTROL_MAX);
    if (control->fd < 0)
        return TRI_FAIL(error, TRP_EBROKER, "the connection between root and broker is closed");
    int errnum = control->first == NULL ? send_now(control->fd, parts, 1 + text_count) : EAGAIN;
    if (errnum == EAGAIN)
        return queue(control, parts, 1 + text_count, total, error);
    if (errnum != 0)
        return tri_fail_errno(error, TRP_EBROKER, errnum, "the connection between root and broker is gone");
    return TRP_OK;
}

trp_err
tri_control_flush(struct tri_control *control, trp_error *error)
{
    while (control->first != NULL) {
        struct tri_control_waiting *waiting = control->first;
        struct iovec part = {.iov_base = waiting->bytes, .iov_len = waiting->size};
        int errnum = send_now(control->fd, &part, 1);
        if (errnum == EAGAIN)
            return TRP_OK;
        if (errnum != 0)
            return tri_fail_errno(error, TRP_EBROKER, errnum, "the connection between root and broker is gone");
        control->first = waiting->next;
        if (control->first == NULL)
            control->last = &control->first;
        control->waiting_bytes -= waiting->size;
        free(waiting);
    }
    return TRP_OK;
}

/* The size of the struct at the front of a received message; 0: there is no such message. */
static size_t
struct_size(const union tri_control_message *message, size_t size)
{
    if (size < sizeof message->head || message->head.kind >= TRI_CONTROL_KIND_COUNT ||
        rows[message->head.kind].name == NULL)
        return 0;
    size_t wanted = rows[message->head.kind].size;
    if (message->head.kind == TRI_CONTROL_EXPECTED) {
        if (message->head.number < 0 || message->head.number > TRI_CONTROL_LIVING_MAX)
            return 0;
        wanted += (size_t)message->head.number * sizeof(struct tri_control_living);
    }
    return wanted <= size ? wanted : 0;
}

static trp_err
find_texts(const union tri_control_message *message, size_t size, const char *texts[TRI_CONTROL_TEXTS_MAX],
           trp_error *error)
{
    size_t at = struct_size(message, size);
    if (at == 0 || message->head.text_count > TRI_CONTROL_TEXTS_MAX ||
        message->head.text_count < rows[message->head.kind].texts)
        return TRI_FAIL(error, TRP_EPROTO, "a message of %zu bytes between root and broker does not add up", size);
    for (uint32_t i = 0; i < message->head.text_count; i++) {
        const uint8_t *end = at < size ? memchr(message->bytes + at, '\0', size - at) : NULL;
        if (end == NULL)
            return TRI_FAIL(error, TRP_EPROTO, "%s between root and broker lacks texts",
                            tri_control_name(message->head.kind));
        texts[i] = (const char *)message->bytes + at;
        at = (size_t)(end - message->bytes) + 1;
    }
    if (at != size)
        return TRI_FAIL(error, TRP_EPROTO, "%s between root and broker is too long",
                        tri_control_name(message->head.kind));
    return TRP_OK;
}

trp_err
tri_control_recv(struct tri_control *control, union tri_control_message *message,
                 const char *texts[TRI_CONTROL_TEXTS_MAX], trp_error *error)
{
    ssize_t size;
    do
        size = recv(control->fd, message->bytes, sizeof message->bytes, MSG_DONTWAIT | MSG_TRUNC);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return TRI_FAIL(error, TRP_EAGAIN, "no message between root and broker");
    if (size < 0 && errno != ECONNRESET)
        return tri_fail_errno(error, TRP_EBROKER, errno, "the connection between root and broker failed");
    if (size <= 0)
        return TRI_FAIL(error, TRP_EBROKER, "the connection between root and broker is gone");
    if ((size_t)size > sizeof message->bytes)
        return TRI_FAIL(error, TRP_EPROTO, "a message of %zd bytes between root and broker, at most %d", size,
                        TRI_CONTROL_MAX);
    return find_texts(message, (size_t)size, texts, error);
}
