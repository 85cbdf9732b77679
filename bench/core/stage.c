/*
 * stage.c - stage.h: the operations of a core that nobody is behind.
 */
#include "bench/core/stage.h"

#include <stdio.h>
#include <stdlib.h>

static bool
on_has_credit(void *user, tri_peer_index peer, uint64_t bytes)
{
    (void)user, (void)peer, (void)bytes;
    return true;
}

static uint64_t
on_unread(void *user, tri_peer_index peer)
{
    (void)user, (void)peer;
    return 0;
}

static void
on_release(void *user, tri_peer_index peer, uint64_t bytes)
{
    (void)user, (void)peer, (void)bytes;
}

/* What a driver has said was wrong: then no figure is. */
static void
on_cut(void *user, tri_peer_index peer, const char *reason)
{
    (void)user, (void)peer;
    fprintf(stderr, "the core cuts a driver: %s\n", reason);
    exit(2);
}

static void
on_fork(void *user, uint64_t token, const char *label, const struct tri_env *env, uint32_t env_count, uint64_t memory)
{
    (void)user, (void)token, (void)label, (void)env, (void)env_count, (void)memory;
}

static void
on_text(void *user, uint64_t token, const char *text)
{
    (void)user, (void)token, (void)text;
}

trp_err
tri_stage_core(tri_stage_send *send, void *user, const struct tri_arena *arena, uint64_t now_ns, struct tri_core **core,
               trp_error *error)
{
    const struct tri_core_ops ops = {.send = send,
                                     .has_credit = on_has_credit,
                                     .unread = on_unread,
                                     .release = on_release,
                                     .cut = on_cut,
                                     .fork = on_fork,
                                     .label = on_text,
                                     .kill = on_text,
                                     .user = user};
    struct tri_core_config config = {.incarnation = 1, .node = "bench", .num_cpus = 2, .seed = 1};
    if (arena != NULL)
        config.arena = *arena;
    return tri_core_new(&config, &ops, NULL, 0, now_ns, core, error);
}

trp_err
tri_stage_driver(struct tri_core *core, uint64_t now_ns, tri_peer_index *driver, trp_error *error)
{
    static int32_t pid = 1000;
    const struct tri_login login = {.version_min = TRI_WIRE_VERSION,
                                    .version_max = TRI_WIRE_VERSION,
                                    .role = TRI_DRIVER,
                                    .pid = ++pid,
                                    .program = "bench"};
    struct tri_welcome welcome;
    return tri_core_hello(core, &login, pid, now_ns, driver, &welcome, error);
}
