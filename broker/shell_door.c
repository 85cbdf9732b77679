/*
 * shell_door.c - the side door: whoever connects is told a cookie, and is alive while it stays. Its end of file is the news
 * of a death.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tri_visitor *
tri_visitor_find(const struct tri_shell *shell, uint64_t cookie)
{
    struct tri_entry *entry = tri_table_find(&shell->by_cookie, (struct tri_id){cookie, 0});
    return entry != NULL ? TRI_OWNER(entry, struct tri_visitor, entry) : NULL;
}

/* Closed at once, freed when no event of this round can name it any more. */
void
tri_visitor_close(struct tri_visitor *visitor, struct tri_shell *shell)
{
    if (visitor->closed)
        return;
    visitor->closed = true;
    tri_table_remove(&shell->by_cookie, &visitor->entry);
    tri_shell_unwatch(shell, &visitor->source);
    if (visitor->pidfd >= 0)
        close(visitor->pidfd);
    shell->visitor_count--;
    tri_list_remove(&visitor->link);
    tri_list_append(&shell->closed_visitors, &visitor->link);
}

void
tri_shell_free_visitors(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->closed_visitors)) {
        struct tri_visitor *visitor = TRI_OWNER(shell->closed_visitors.next, struct tri_visitor, link);
        tri_list_remove(&visitor->link);
        free(visitor);
    }
}

/* Processes say nothing here yet; what comes is read and dropped. */
static void
on_visitor(struct tri_shell *shell, struct tri_source *source)
{
    struct tri_visitor *visitor = TRI_OWNER(source, struct tri_visitor, source);
    uint8_t message[64];
    int fds[4];
    size_t size = 0, fd_count = 0;
    trp_error error;
    if (visitor->closed)
        return;
    trp_err err = tri_door_recv(source->fd, message, sizeof message, &size, fds, 4, &fd_count, &error);
    for (size_t i = 0; i < fd_count && err == TRP_OK; i++)
        close(fds[i]);
    if (err == TRP_OK && size > 0 && tri_shell_may_log_bad(shell))
        tri_log(TRI_WARNING, "process %d says %zu bytes at the door, where nothing is to be said: dropped",
                visitor->pid, size);
    if (err != TRP_OK && err != TRP_EAGAIN && tri_shell_may_log_bad(shell))
        tri_log(TRI_WARNING, "the door of process %d is closed: %s", visitor->pid, error.message);
    if (err == TRP_EAGAIN || (err == TRP_OK && size > 0))
        return;
    struct tri_member *member = visitor->member;
    if (member != NULL) {
        member->visitor = NULL;
        visitor->member = NULL;
        tri_log(TRI_DEBUG, "the door of process %d is closed", visitor->pid);
        tri_member_leaves(member);
    }
    tri_visitor_close(visitor, shell);
}

static trp_err
visitor_new(struct tri_shell *shell, int fd, int pidfd, int32_t pid, trp_error *error)
{
    struct tri_visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL || tri_table_reserve(&shell->by_cookie, 1) != TRP_OK) {
        free(visitor);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for another process");
    }
    visitor->source = (struct tri_source){on_visitor, fd};
    visitor->pidfd = pidfd;
    visitor->pid = pid;
    do
        visitor->cookie = tri_random_secret();
    while (visitor->cookie == 0 || tri_visitor_find(shell, visitor->cookie) != NULL);
    trp_err err = tri_shell_watch(shell, &visitor->source, error);
    if (err != TRP_OK) {
        free(visitor);
        return err;
    }
    visitor->entry.id = (struct tri_id){visitor->cookie, 0};
    tri_table_insert(&shell->by_cookie, &visitor->entry);
    tri_list_append(&shell->visitor_list, &visitor->link);
    shell->visitor_count++;
    int fds[TRI_ARENA_FDS];
    const size_t fd_count = tri_shell_arena_fds(shell, fds);
    if (tri_door_send(fd, &visitor->cookie, sizeof visitor->cookie, fds, fd_count, NULL) != TRP_OK)
        tri_visitor_close(visitor, shell); /* gone already */
    return TRP_OK;
}

static void
on_door(struct tri_shell *shell, struct tri_source *source)
{
    int fd, pidfd = -1;
    int32_t pid = 0;
    trp_error error;
    trp_err err;
    (void)source;
    while ((err = tri_door_accept(shell->door, &fd, &pidfd, &pid, &error)) == TRP_OK) {
        if (shell->visitor_count >= shell->visitor_limit) {
            err = TRI_FAIL(&error, TRP_ELIMIT,
                           "%u processes are logged in, as many as there are descriptors for: allow "
                           "the node more (ulimit -n)",
                           shell->visitor_count);
            tri_door_refuse(fd);
        } else {
            err = visitor_new(shell, fd, pidfd, pid, &error);
        }
        if (err != TRP_OK) {
            tri_log(TRI_WARNING, "process %d is not let in: %s", pid, error.message);
            close(fd);
            if (pidfd >= 0)
                close(pidfd);
        }
    }
    if (err != TRP_EAGAIN)
        tri_log(TRI_WARNING, "somebody at the door is not let in: %s", error.message);
}

trp_err
tri_shell_open_door(struct tri_shell *shell, trp_error *error)
{
    char path[sizeof shell->directory + 8];
    snprintf(path, sizeof path, "%s/door", shell->directory);
    TRP_TRY(tri_door_listen(path, &shell->door, error));
    shell->door_source = (struct tri_source){on_door, tri_door_server_fd(shell->door)};
    return tri_shell_watch(shell, &shell->door_source, error);
}
