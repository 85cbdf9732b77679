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

/* A process that is not logged in any more, and may live: with all names that it had. */
struct awaited {
    struct tri_source source;
    struct tri_node link;
    int32_t pid;
    uint64_t *spaces;
    size_t count, capacity;
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
awaited_free(struct awaited *awaited)
{
    tri_list_remove(&awaited->link);
    free(awaited->spaces);
    free(awaited);
}

static void
on_end(struct tri_shell *shell, struct tri_source *source)
{
    struct awaited *awaited = TRI_OWNER(source, struct awaited, source);
    tri_shell_unwatch(shell, source);
    for (size_t i = 0; i < awaited->count; i++)
        ended(shell, awaited->spaces[i]);
    awaited_free(awaited);
}

static struct awaited *
find_awaited(struct tri_shell *shell, int32_t pid)
{
    for (struct tri_node *node = shell->awaited.next; node != &shell->awaited; node = node->next)
        if (TRI_OWNER(node, struct awaited, link)->pid == pid)
            return TRI_OWNER(node, struct awaited, link);
    return NULL;
}

/* TRP_ENOENT: it has ended already. */
static trp_err
awaited_new(struct tri_shell *shell, int32_t pid, struct awaited **made, trp_error *error)
{
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return tri_fail_errno(error, errno == ESRCH ? TRP_ENOENT : TRP_ELIMIT, errno, "cannot watch process %d", pid);
    struct awaited *awaited = calloc(1, sizeof *awaited);
    if (awaited == NULL) {
        close(fd);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to watch process %d", pid);
    }
    *awaited = (struct awaited){.source = {on_end, fd}, .pid = pid};
    const trp_err err = tri_shell_watch(shell, &awaited->source, error);
    if (err != TRP_OK) {
        close(fd);
        free(awaited);
        return err;
    }
    tri_list_append(&shell->awaited, &awaited->link);
    *made = awaited;
    return TRP_OK;
}

/* One that is not awaited is never used again, and what it had neither. */
static void
on_await_end(void *user, uint64_t space, int32_t pid)
{
    struct tri_shell *shell = user;
    struct awaited *awaited = find_awaited(shell, pid);
    trp_error error;
    trp_err err = awaited != NULL ? TRP_OK : awaited_new(shell, pid, &awaited, &error);
    if (err == TRP_ENOENT) {
        ended(shell, space);
        return;
    }
    if (err == TRP_OK && !TRI_RESERVE(awaited->spaces, awaited->capacity, awaited->count + 1))
        err = TRI_FAIL(&error, TRP_ENOMEM, "no memory to watch process %d", pid);
    if (err == TRP_OK)
        awaited->spaces[awaited->count++] = space;
    else
        tri_log(TRI_WARNING, "%s: what it has of the object store stays its own", error.message);
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
size_of(const struct tri_control_start *start, int part)
{
    return tri_part_bytes((enum tri_arena_part)part, start->arena_granules, start->arena_slots);
}

static void
on_stored(struct tri_shell *shell, struct tri_source *source)
{
    struct tri_store_done done;
    (void)source;
    while (tri_store_thread_done(shell->store_thread, &done)) {
        if (done.is_spilled)
            tri_core_spilled(shell->core, done.err, &done.error, shell->now_ns);
        else
            tri_core_restored(shell->core, done.id, done.err, &done.error, done.next, shell->now_ns);
        shell->busy = true;
    }
}

/* The store thread reads and writes the arena where processes do. */
static trp_err
open_spill(struct tri_shell *shell, const struct tri_control_start *start, const char *directory, trp_error *error)
{
    struct tri_segment *arena = &shell->parts[TRI_PART_ARENA];
    const int fd = arena->fd;
    TRP_TRY(tri_segment_map(fd, arena->size, true, arena, error));
    struct tri_store_options options = {
        .directory = directory, .max_bytes = start->spill_max_bytes, .arena = arena->base, .seed = tri_random_secret()};
    tri_register_at(&options.reg, shell->parts[TRI_PART_REGISTER].base, start->arena_granules);
    TRP_TRY(tri_store_thread_new(&options, &shell->store_thread, error));
    shell->store_source = (struct tri_source){on_stored, tri_store_thread_fd(shell->store_thread)};
    TRP_TRY(tri_shell_watch(shell, &shell->store_source, error));
    tri_store_thread_spiller(shell->store_thread, &shell->config.arena.spiller);
    shell->config.arena.spill_at = start->spill_at;
    return TRP_OK;
}

void
tri_shell_sweep_spill(struct tri_shell *shell)
{
    if (shell->store_thread != NULL && !shell->config.arena.fresh)
        tri_store_thread_sweep(shell->store_thread);
}

trp_err
tri_shell_take_arena(struct tri_shell *shell, const struct tri_control_start *start, const char *spill_directory,
                     trp_error *error)
{
    if (start->arena_granules == 0)
        return TRP_OK;
    /* Mapped by who spills only: else it is read and written by processes alone. */
    shell->parts[TRI_PART_ARENA] =
        (struct tri_segment){.fd = TRI_ARENA_FD, .read_fd = -1, .size = size_of(start, TRI_PART_ARENA)};
    for (int i = TRI_PART_ARENA + 1; i < TRI_PARTS; i++)
        TRP_TRY(tri_segment_map(TRI_ARENA_FD + i, size_of(start, i), true, &shell->parts[i], error));
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
    trp_error why; /* of limited address space or few descriptors: the arena does without */
    if (*spill_directory != '\0' && open_spill(shell, start, spill_directory, &why) != TRP_OK)
        tri_log(TRI_WARNING, "nothing is spilled: %s", why.message);
    return TRP_OK;
}

void
tri_shell_end_arena(struct tri_shell *shell)
{
    while (shell->awaited.next != NULL && !tri_list_empty(&shell->awaited)) {
        struct awaited *awaited = TRI_OWNER(shell->awaited.next, struct awaited, link);
        close(awaited->source.fd);
        awaited_free(awaited);
    }
    tri_store_thread_end(&shell->store_thread, shell->root_gone);
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
