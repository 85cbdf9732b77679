/*
 * fake_core.c - stands in for the broker's core where the shell is tested: it lets everybody in who has a space or none, says
 * each event as a line into the pipe that fake_core_out names, and answers CALL with RESULT, the same body.
 */
#include "tests/broker/fake_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEERS = 64 };

struct tri_core {
    struct tri_core_config config;
    struct tri_core_ops ops;
    struct {
        uint64_t space, token;
        bool here;
    } peers[PEERS];
    uint64_t spaces;
};

int fake_core_out = -1;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[size] = '\n';
    if (write(fake_core_out, line, (size_t)size + 1) != size + 1)
        abort();
}

trp_err
tri_core_new(const struct tri_core_config *config, const struct tri_core_ops *ops, const struct tri_expected *expected,
             size_t expected_count, uint64_t now_ns, struct tri_core **core, trp_error *error)
{
    (void)now_ns;
    struct tri_core *made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory");
    made->config = *config;
    made->ops = *ops;
    size_t tailored = 0;
    for (size_t i = 0; i < expected_count; i++)
        tailored += expected[i].tailored;
    say("new %llu %zu %llu %zu", (unsigned long long)config->incarnation, expected_count,
        expected_count > 0 ? (unsigned long long)expected[expected_count - 1].space : 0, tailored);
    *core = made;
    return TRP_OK;
}

void
tri_core_destroy(struct tri_core **core)
{
    free(*core);
    *core = NULL;
}

trp_err
tri_core_hello(struct tri_core *core, const struct tri_login *login, int32_t pid, uint64_t now_ns, tri_peer_index *peer,
               struct tri_welcome *welcome, trp_error *error)
{
    (void)now_ns;
    uint32_t i = 0;
    if (login->space == 666)
        return TRI_FAIL(error, TRP_EPROTO, "not that one");
    while (i < PEERS && !(core->peers[i].here && login->space != 0 && core->peers[i].space == login->space))
        i++;
    bool known = i < PEERS;
    for (i = known ? i : 0; !known && core->peers[i].here; i++)
        continue;
    if (!known) {
        core->peers[i].here = true;
        core->peers[i].token = login->role == TRI_HOST ? login->host_token : 0;
        core->peers[i].space = login->space != 0 ? login->space : core->config.incarnation << 32 | ++core->spaces;
    }
    *peer = i;
    *welcome = (struct tri_welcome){.version = TRI_WIRE_VERSION,
                                    .space = core->peers[i].space,
                                    .broker = core->config.incarnation,
                                    .snapshot = !known && login->space != 0,
                                    .node = core->config.node,
                                    .credit_calls = 100,
                                    .credit_bytes = 1 << 20};
    say("hello %u %s %d", i, known ? "again" : login->role == TRI_HOST ? "host" : "driver", pid == login->pid);
    if (!known && login->role == TRI_HOST) { /* a host is given something at once, before the shell knows its index */
        const struct tri_route create = {.kind = TRI_RECALL};
        core->ops.send(core->ops.user, i, &create, NULL, 0, false);
    }
    return TRP_OK;
}

trp_err
tri_core_envelope(struct tri_core *core, tri_peer_index peer, const struct tri_envelope *envelope, uint64_t now_ns,
                  trp_error *error)
{
    (void)now_ns;
    const struct tri_route *route = &envelope->route;
    say("envelope %u %s", peer, tri_kind_name(route->kind));
    if (route->kind == TRI_KILL)
        return TRI_FAIL(error, TRP_EPROTO, "KILL is not let here");
    if (route->kind == TRI_LOOKUP) {
        core->peers[peer].here = false;
        core->ops.cut(core->ops.user, peer, "as asked");
    }
    if (route->kind == TRI_SPAWN)
        core->ops.fork(core->ops.user, 5, "test", NULL, 0, 0);
    if (route->kind == TRI_WATCH)
        core->ops.kill(core->ops.user, 5, "as asked");
    if (route->kind != TRI_CALL)
        return TRP_OK;
    struct tri_section section;
    const struct tri_route answer = {.kind = TRI_RESULT, .result = route->result};
    tri_envelope_section(envelope, 0, &section);
    core->ops.send(core->ops.user, peer, &answer, &section, 1, false);
    core->ops.release(core->ops.user, peer, 1);
    return TRP_OK;
}

void
tri_core_acknowledged(struct tri_core *core, tri_peer_index peer, uint64_t sequence, uint64_t now_ns)
{
    (void)core;
    (void)now_ns;
    say("acknowledged %u %llu", peer, (unsigned long long)sequence);
}

void
tri_core_peer_gone(struct tri_core *core, tri_peer_index peer, const struct tri_death *death, uint64_t now_ns)
{
    (void)death;
    (void)now_ns;
    core->peers[peer].here = false;
    say("gone %u", peer);
}

void
tri_core_host_exited(struct tri_core *core, uint64_t token, const struct tri_death *death, uint64_t now_ns)
{
    (void)now_ns;
    for (uint32_t i = 0; i < PEERS; i++)
        if (core->peers[i].here && core->peers[i].token == token)
            core->peers[i].here = false;
    say("exited %llu %d %s", (unsigned long long)token, death->signal, death->method);
}

void
tri_core_fork_failed(struct tri_core *core, uint64_t token, trp_err code, const char *why, uint64_t now_ns)
{
    (void)core;
    (void)now_ns;
    say("fork_failed %llu %d %s", (unsigned long long)token, (int)code, why);
}

void
tri_core_round(struct tri_core *core, uint64_t now_ns)
{
    (void)core;
    (void)now_ns;
}

void
tri_core_tick(struct tri_core *core, uint64_t now_ns)
{
    (void)core;
    (void)now_ns;
}

uint64_t
tri_core_next_ns(const struct tri_core *core)
{
    (void)core;
    return TRI_NEVER;
}

tri_peer_index
tri_core_log_reader(struct tri_core *core, uint64_t token, const char **label)
{
    *label = "label";
    return token == 5 && core->peers[0].here ? 0 : TRI_NO_PEER;
}

uint64_t
tri_core_token(const struct tri_core *core, tri_peer_index peer)
{
    return core->peers[peer].token;
}

void
tri_core_count(const struct tri_core *core, struct tri_core_counts *counts)
{
    *counts = (struct tri_core_counts){0};
    for (uint32_t i = 0; i < PEERS; i++)
        if (core->peers[i].here) {
            counts->peers++;
            counts->hosts += core->peers[i].token != 0;
        }
}

void
tri_core_space_ended(struct tri_core *core, uint64_t space, uint64_t now_ns)
{
    (void)core, (void)space, (void)now_ns;
}

void
tri_core_spilled(struct tri_core *core, trp_err err, const trp_error *error, uint64_t now_ns)
{
    (void)core, (void)err, (void)error, (void)now_ns;
}

void
tri_core_restored(struct tri_core *core, struct tri_id id, trp_err err, const trp_error *error, struct tri_id next,
                  uint64_t now_ns)
{
    (void)core, (void)id, (void)err, (void)error, (void)next, (void)now_ns;
}

trp_err
tri_core_open_place(struct tri_core *core, tri_peer_index peer, const struct tri_place *place, struct tri_buf **buf,
                    trp_error *error)
{
    (void)core, (void)peer, (void)place, (void)buf;
    return TRI_FAIL(error, TRP_EPROTO, "this core has no arena");
}
