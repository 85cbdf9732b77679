/*
 * shell_arena.c - the arena as the broker has it from its root: memory behind its parts, the descriptors that go to each
 * process, the places that they say, and when one has ended that may have written there.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A process that is not logged in any more, and may live. */
struct awaited {
    struct tri_source source;
    struct tri_node link;
    uint64_t space;
};

static trp_err
on_back(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size, trp_error *error)
{
    return tri_segment_back(&((struct tri_shell *)user)->parts[part], offset, size, error);
}

static void
on_unback(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size)
{
    trp_error error;
    if (tri_segment_unback(&((struct tri_shell *)user)->parts[part], offset, size, &error) != TRP_OK)
        tri_log(TRI_WARNING, "%s", error.message);
}

static void
ended(struct tri_shell *shell, uint64_t space)
{
    if (TRI_RESERVE(shell->ended_spaces, shell->ended_capacity, shell->ended_count + 1))
        shell->ended_spaces[shell->ended_count++] = space;
    else
        tri_log(TRI_ERROR, "no memory to remember the end of a process: what it had of the object store is not used");
}

static void
on_end(struct tri_shell *shell, struct tri_source *source)
{
    struct awaited *awaited = TRI_OWNER(source, struct awaited, source);
    tri_shell_unwatch(shell, source);
    tri_list_remove(&awaited->link);
    ended(shell, awaited->space);
    free(awaited);
}

/* Whoever cannot be found has ended. */
static void
on_await_end(void *user, uint64_t space, int32_t pid)
{
    struct tri_shell *shell = user;
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct awaited *awaited = fd >= 0 ? calloc(1, sizeof *awaited) : NULL;
    trp_error error;
    if (fd < 0 && errno == ESRCH) {
        ended(shell, space);
        return;
    }
    trp_err err = TRP_ENOMEM;
    if (awaited != NULL) {
        *awaited = (struct awaited){.source = {on_end, fd}, .space = space};
        err = tri_shell_watch(shell, &awaited->source, &error);
    }
    if (err != TRP_OK) {
        tri_log(TRI_WARNING, "process %d cannot be watched: what it has of the object store is not used", pid);
        if (fd >= 0)
            close(fd);
        free(awaited);
        return;
    }
    tri_list_append(&shell->awaited, &awaited->link);
}

void
tri_shell_ended_spaces(struct tri_shell *shell)
{
    while (shell->ended_count > 0) {
        tri_core_space_ended(shell->core, shell->ended_spaces[--shell->ended_count], shell->now_ns);
        shell->busy = true;
    }
}

static uint64_t
size_of(const struct tri_control_start *start, enum tri_arena_part part)
{
    const uint64_t sizes[TRI_PARTS] = {
        [TRI_PART_ARENA] = (uint64_t)start->arena_granules * 4096,
        [TRI_PART_WORDS] = (start->arena_slots * sizeof(tri_slot_word) + 4095) / 4096 * 4096,
        [TRI_PART_PINS] = TRI_TENANTS_MAX * TRI_PIN_TABLE_BYTES,
        [TRI_PART_REGISTER] = tri_register_bytes(start->arena_granules, start->arena_slots),
    };
    return sizes[part];
}

trp_err
tri_shell_take_arena(struct tri_shell *shell, const struct tri_control_start *start, trp_error *error)
{
    if (start->arena_granules == 0)
        return TRP_OK;
    /* The arena itself is only read and written by processes. */
    shell->parts[TRI_PART_ARENA] =
        (struct tri_segment){.fd = TRI_ARENA_FD, .read_fd = -1, .size = size_of(start, TRI_PART_ARENA)};
    for (int i = TRI_PART_ARENA + 1; i < TRI_PARTS; i++)
        TRP_TRY(
            tri_segment_map(TRI_ARENA_FD + i, size_of(start, (enum tri_arena_part)i), true, &shell->parts[i], error));
    shell->config.arena = (struct tri_arena){
        .granules = start->arena_granules,
        .slots = start->arena_slots,
        .words = (tri_slot_word *)(void *)shell->parts[TRI_PART_WORDS].base,
        .pins = shell->parts[TRI_PART_PINS].base,
        .reg = shell->parts[TRI_PART_REGISTER].base,
        .fresh = start->arena_used == 0,
        .keeps_one = start->is_service != 0,
        .back = on_back,
        .unback = on_unback,
        .await_end = on_await_end,
        .user = shell,
    };
    return TRP_OK;
}

void
tri_shell_end_arena(struct tri_shell *shell)
{
    while (shell->awaited.next != NULL && !tri_list_empty(&shell->awaited)) {
        struct awaited *awaited = TRI_OWNER(shell->awaited.next, struct awaited, link);
        tri_list_remove(&awaited->link);
        close(awaited->source.fd);
        free(awaited);
    }
    for (int i = 0; i < TRI_PARTS; i++)
        tri_segment_close(&shell->parts[i]);
    free(shell->ended_spaces);
}

size_t
tri_shell_arena_fds(const struct tri_shell *shell, int fds[TRI_ARENA_FDS])
{
    if (shell->config.arena.granules == 0)
        return 0;
    fds[0] = shell->parts[TRI_PART_ARENA].fd;
    fds[1] = TRI_ARENA_READ_FD;
    fds[2] = shell->parts[TRI_PART_PINS].fd;
    return TRI_ARENA_FDS;
}

static trp_err
on_place(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    const struct tri_member *member = user;
    return tri_core_open_place(member->shell->core, member->index, place, buf, error);
}

void
tri_member_open_arena(struct tri_member *member)
{
    member->places = (struct tri_places){.open = on_place, .user = member};
    member->channel.places = &member->places;
}
