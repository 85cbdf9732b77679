/*
 * broker.c - the broker's shell in the simulator: the core's operations, a channel per peer, logging in. It must not look
 * into a process.
 */
#include "tests/sim/sim.h"

struct sim_peer *
sim_peer_of(struct sim_world *world, const struct sim_process *process)
{
    for (uint32_t i = 0; i < world->peer_top; i++)
        if (world->peers[i].used && world->peers[i].process == process)
            return &world->peers[i];
    return NULL;
}

/* -------------------------------------------------------------------------------------------------------- operations */

static trp_err
on_place(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    struct sim_peer *peer = user;

    return tri_core_open_place(peer->world->core, (tri_peer_index)(peer - peer->world->peers), place, buf, error);
}

static void
open_arena(struct sim_world *world, struct sim_peer *peer)
{
    if (world->arena == NULL)
        return;
    peer->world = world;
    peer->places = (struct tri_places){on_place, peer};
    peer->channel.places = &peer->places;
}

static struct sim_peer *
peer_at(struct sim_world *world, tri_peer_index index)
{
    struct sim_peer *peer = &world->peers[index % SIM_PEERS];

    if (!peer->used && world->greeting != NULL) {
        peer->used = true;
        peer->process = world->greeting;
        tri_channel_init(&peer->channel, world->limits.host_window_calls, world->limits.host_window_bytes);
        open_arena(world, peer);
        world->peer_top = index >= world->peer_top ? index + 1 : world->peer_top;
        world->greeting = NULL;
    }
    if (!peer->used)
        sim_fail(world, "the core speaks to peer %u, which is not there", index);
    return peer;
}

static uint64_t
op_send(void *user, tri_peer_index index, const struct tri_route *route, const struct tri_section *sections,
        uint32_t count, bool credited)
{
    struct sim_world *world = user;
    struct sim_peer *peer;
    uint64_t where = 0;
    trp_error error;

    peer = peer_at(world, index);
    sim_trace_post(world, "broker to process", peer->used ? peer->process->pid : 0, route, sections, count);
    if (!peer->used)
        return 0;
    if (route->kind == TRI_CREATE)
        sim_record_made(world, route->target);
    if (credited && !tri_session_has_credit(&peer->channel.session, tri_envelope_bytes(sections, count)))
        sim_fail(world, "the core sent a credited %s without credit", tri_kind_name(route->kind));
    if (tri_channel_post(&peer->channel, route, sections, count, &where, &error) != TRP_OK)
        sim_fail(world, "post: %s", error.message);
    if (credited)
        tri_session_use(&peer->channel.session, tri_envelope_bytes(sections, count));
    return where;
}

static bool
op_has_credit(void *user, tri_peer_index index, uint64_t bytes)
{
    struct sim_world *world = user;

    return tri_session_has_credit(&peer_at(world, index)->channel.session, bytes);
}

static uint64_t
op_unread(void *user, tri_peer_index index)
{
    struct sim_world *world = user;
    const struct tri_channel *channel = &peer_at(world, index)->channel;

    return channel->session.sent_bytes + tri_channel_pending_bytes(channel);
}

static void
op_release(void *user, tri_peer_index index, uint64_t bytes)
{
    struct sim_world *world = user;

    tri_session_release(&peer_at(world, index)->channel.session, bytes);
}

static void
op_cut(void *user, tri_peer_index index, const char *reason)
{
    sim_fail(user, "the core cut peer %u: %s", index, reason);
}

static void
op_fork(void *user, uint64_t token, const char *label, const struct tri_env *env, uint32_t env_count, uint64_t memory)
{
    struct sim_world *world = user;
    struct sim_process *host;

    (void)label, (void)env, (void)env_count;
    sim_trace(world, "  fork of host %llu", (unsigned long long)token);
    if (sim_chance(world, 2))
        sim_event_add(world, SIM_FORK_FAILED, 1000 + sim_random(world, 500000))->token = token;
    else if ((host = sim_process_new(world, true, token)) != NULL)
        host->memory_bytes = memory;
}

static void
op_label(void *user, uint64_t token, const char *label)
{
    sim_trace(user, "  host %llu is %s", (unsigned long long)token, label);
}

static void
op_kill(void *user, uint64_t token, const char *rule)
{
    struct sim_world *world = user;
    struct sim_process *host = sim_host_with(world, token);

    sim_trace(world, "  kill of host %llu: %s", (unsigned long long)token, rule);
    if (host == NULL || host->killed)
        return;
    host->killed = true;
    sim_event_add(world, SIM_KILL, 1000 + sim_random(world, 3000000))->token = token;
}

static void
op_bury(void *user, struct tri_id actor)
{
    sim_root_ended(user, actor);
}

/* ---------------------------------------------------------------------------------------------------- coming and going */

/* What the root knows, and tells the next broker. */
void
sim_root_ended(struct sim_world *world, struct tri_id actor)
{
    if (tri_id_is_none(actor))
        return;
    if (world->ended_count == SIM_ENDED)
        sim_fail(world, "more than %d actors have ended", SIM_ENDED);
    else
        world->ended[world->ended_count++] = actor;
}

void
sim_broker_start(struct sim_world *world)
{
    struct tri_core_ops ops = {op_send, op_has_credit, op_unread, op_release, op_cut,
                               op_fork, op_label,      op_kill,   op_bury,    world};
    struct tri_core_config config = {
        .incarnation = ++world->incarnation,
        .node = "sim",
        .num_cpus = world->num_cpus,
        .service = true,
        .spare_hosts = 1,
        .tasks_lost = world->tasks_lost,
        .seed = world->options.seed,
        .limits = world->limits,
    };
    sim_arena_begin(world, &config.arena);
    static struct tri_expected expected[SIM_PROCESSES + SIM_ENDED];
    size_t count = 0;
    trp_error error;

    for (uint32_t i = 0; i < world->process_top && world->incarnation > 1; i++) {
        struct sim_process *process = &world->processes[i];
        if (!process->used || (!process->alive && !sim_exit_is_due(world, process)))
            continue;
        if (!process->is_host && tri_proc_space(process->proc) == 0)
            continue;
        expected[count++] = (struct tri_expected){
            .token = process->token,
            .space = process->is_host ? 0 : tri_proc_space(process->proc),
            .pid = process->pid,
            .tailored = process->memory_bytes != 0,
        };
    }
    for (uint32_t i = 0; i < world->ended_count; i++)
        expected[count++] = (struct tri_expected){.ended = world->ended[i]};
    world->core_moved = true;
    sim_trace(world, "broker %llu starts, %zu expected", (unsigned long long)world->incarnation, count);
    if (tri_core_new(&config, &ops, expected, count, world->now_ns, &world->core, &error) != TRP_OK)
        sim_fail(world, "a new core: %s", error.message);
    sim_arena_begun(world);
}

static void
peer_end(struct sim_peer *peer)
{
    tri_channel_fini(&peer->channel);
    memset(peer, 0, sizeof *peer);
}

void
sim_broker_kill(struct sim_world *world)
{
    uint32_t kept = 0;

    sim_trace(world, "broker %llu dies", (unsigned long long)world->incarnation);
    sim_arena_broker_died(world);
    tri_core_destroy(&world->core);
    for (uint32_t i = 0; i < world->peer_top; i++)
        if (world->peers[i].used)
            peer_end(&world->peers[i]);
    world->peer_top = 0;
    for (uint32_t i = 0; i < world->event_count; i++) /* the root outlives it */
        if (world->events[i].kind == SIM_KILL || world->events[i].kind == SIM_EXITED)
            world->events[kept++] = world->events[i];
    world->event_count = kept;
    for (uint32_t i = 0; i < world->process_top; i++)
        if (world->processes[i].used && world->processes[i].alive)
            sim_process_lost(&world->processes[i]);
    (void)sim_event_add(world, SIM_START_BROKER, 1000000 + sim_random(world, 20000000));
}

/* Somebody died, the way that the root or the door says it. */
void
sim_broker_gone(struct sim_world *world, const struct sim_event *event)
{
    struct tri_death death = {.present = true, .pid = event->pid, .exit_code = -1, .signal = 9};

    world->core_moved = true;
    death.module = death.actor = death.method = death.backtrace = death.last_output = death.killed_by = "";
    death.started = event->started;
    death.finished = event->finished;
    death.resident = event->resident;
    death.ran_tasks = event->ran_tasks;
    for (uint32_t i = 0; i < world->peer_top; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (!peer->used || peer->process->pid != event->pid)
            continue;
        if (event->kind == SIM_DRIVER_GONE || sim_chance(world, 40)) {
            tri_core_peer_gone(world->core, i, NULL, world->now_ns);
            peer_end(peer);
        }
        break;
    }
    if (event->kind == SIM_EXITED)
        tri_core_host_exited(world->core, event->token, &death, world->now_ns);
    for (uint32_t i = 0; i < world->peer_top; i++)
        if (world->peers[i].used && world->peers[i].process->pid == event->pid)
            peer_end(&world->peers[i]);
}

/* ------------------------------------------------------------------------------------------------------------ packets */

static void
emit(void *user, struct tri_packet *packet)
{
    struct sim_peer *peer = user;

    if (peer->process->alive && (peer->process->up || peer->process->hello_out)) /* behind the WELCOME on its way */
        sim_queue_add(&peer->process->to_process, packet);
    else
        tri_packet_fini(packet); /* no link: the session has it */
}

static void
emit_always(void *user, struct tri_packet *packet)
{
    sim_queue_add(&((struct sim_peer *)user)->process->to_process, packet);
}

/* WELCOME, then what was sent after `received`. */
static void
answer_hello(struct sim_world *world, struct sim_peer *peer, bool resumed, uint64_t received)
{
    struct tri_route route = {.kind = TRI_WELCOME};
    struct tri_packed packed = {0};
    struct tri_packet packet;
    trp_error error;

    peer->welcome.received = peer->channel.session.received;
    if (tri_welcome_pack(&packed, &peer->welcome, &error) != TRP_OK ||
        tri_packet_single(&packet, &route, &packed.section, 1, &error) != TRP_OK) {
        sim_fail(world, "WELCOME: %s", error.message);
        return;
    }
    emit_always(peer, &packet);
    tri_packed_fini(&packed);
    if (resumed && tri_session_resume(&peer->channel.session, received, emit_always, peer, &error) != TRP_OK)
        sim_fail(world, "the broker cannot resume: %s", error.message);
}

static void
on_hello(struct sim_world *world, struct sim_process *process, const struct tri_envelope *envelope)
{
    struct sim_peer *peer = sim_peer_of(world, process);
    struct tri_welcome welcome = {0};
    struct tri_section section;
    struct tri_login login;
    tri_peer_index index = 0;
    trp_error error;
    trp_err err;

    tri_envelope_section(envelope, 0, &section);
    err = tri_login_unpack(&section, &login, &error);
    if (err == TRP_OK && peer != NULL && (login.space != peer->welcome.space || login.broker != world->incarnation)) {
        answer_hello(world, peer, true, 0); /* it did not hear the first WELCOME */
        return;
    }
    world->greeting = peer == NULL ? process : NULL;
    if (err == TRP_OK)
        err = tri_core_hello(world->core, &login, process->pid, world->now_ns, &index, &welcome, &error);
    if (err != TRP_OK) {
        if (!process->killed)
            sim_fail(world, "HELLO of process %d refused: %s", process->pid, error.message);
        world->greeting = NULL;
        return;
    }
    if (peer_at(world, index)->process != process || (peer != NULL && peer != peer_at(world, index)))
        sim_fail(world, "two processes are peer %u", index);
    world->greeting = NULL;
    world->peers[index].welcome = welcome;
    open_arena(world, &world->peers[index]);
    answer_hello(world, &world->peers[index], peer != NULL, login.received);
}

struct visit {
    struct sim_world *world;
    struct sim_process *process;
    tri_peer_index peer;
    bool parts;
};

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct visit *visit = user;

    sim_trace(visit->world, "  broker takes %s %llx:%llu of %d", tri_kind_name(envelope->route.kind),
              (unsigned long long)envelope->route.result.space, (unsigned long long)envelope->route.result.number,
              visit->process->pid);
    if (envelope->route.kind == TRI_HELLO) {
        on_hello(visit->world, visit->process, envelope);
        return TRP_OK;
    }
    visit->world->core_moved = true;
    visit->parts |= envelope->route.kind == TRI_GOODBYE;
    sim_omen(visit->process, envelope->route.kind);
    TRP_TRY(tri_core_envelope(visit->world->core, visit->peer, envelope, visit->world->now_ns, error));
    if (visit->world->options.trace)
        sim_check(visit->world); /* to see which one it was */
    return TRP_OK;
}

/* It has said so. */
static void
has_parted(struct sim_world *world, struct sim_process *process, tri_peer_index index)
{
    sim_process_end(process);
    tri_core_peer_gone(world->core, index, NULL, world->now_ns);
    peer_end(&world->peers[index]);
}

void
sim_broker_packet(struct sim_world *world, struct sim_process *process, struct tri_packet *packet)
{
    struct sim_peer *peer = sim_peer_of(world, process);
    struct visit visit = {world, process, peer == NULL ? TRI_NO_PEER : (tri_peer_index)(peer - world->peers), false};
    struct tri_batch_head head;
    trp_error error;
    trp_err err = tri_packet_head(packet, &head, &error);

    if (err == TRP_OK && head.sequence == 0 && head.envelope_count > 0)
        err = tri_packet_each(packet, on_envelope, &visit, &error);
    else if (err == TRP_OK && peer != NULL) {
        err = tri_channel_receive(&peer->channel, packet, on_envelope, &visit, NULL, &error);
        if (err == TRP_OK && peer->used)
            tri_core_acknowledged(world->core, visit.peer, peer->channel.session.peer_acknowledged, world->now_ns);
    }
    world->core_moved = true;
    if (err != TRP_OK)
        sim_fail(world, "the broker refuses a packet of process %d: %s", process->pid, error.message);
    else if (visit.parts)
        has_parted(world, process, visit.peer);
}

bool
sim_broker_flush(struct sim_world *world, bool all)
{
    bool any = sim_arena_turn(world, all);
    trp_error error;

    tri_core_round(world->core, world->now_ns);
    world->core_moved = true;
    for (uint32_t i = 0; i < world->peer_top; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (!peer->used || (!all && sim_chance(world, 30)))
            continue;
        any |= tri_channel_has_output(&peer->channel) || (all && tri_session_owes(&peer->channel.session));
        if (tri_channel_flush(&peer->channel, emit, peer, &error) != TRP_OK)
            sim_fail(world, "flush: %s", error.message);
        if ((all || sim_chance(world, 30)) && tri_channel_acknowledge(&peer->channel, emit, peer, &error) != TRP_OK)
            sim_fail(world, "acknowledge: %s", error.message);
    }
    return any;
}
