/*
 * process.c - a simulated process's shell: its channel, its link, logging in, dying.
 */
#include "tests/sim/sim.h"

void
sim_queue_add(struct tri_node *queue, struct tri_packet *packet)
{
    struct sim_packet *made = calloc(1, sizeof *made);

    if (made == NULL)
        abort();
    for (uint32_t i = 0; i < packet->frame_count; i++) /* of some only their places travel */
        if (packet->frames[i]->place != NULL)
            tri_buf_release(&packet->frames[i]);
        else
            made->packet.frames[made->packet.frame_count++] = packet->frames[i];
    tri_list_append(queue, &made->link);
}

void
sim_queue_clear(struct tri_node *queue)
{
    while (!tri_list_empty(queue)) {
        struct sim_packet *packet = TRI_OWNER(queue->next, struct sim_packet, link);
        tri_list_remove(&packet->link);
        tri_packet_fini(&packet->packet);
        free(packet);
    }
}

/* -------------------------------------------------------------------------------------------------------- operations */

static uint64_t
op_post(void *user, const struct tri_route *route, const struct tri_section *sections, uint32_t count,
        uint64_t credit_bytes)
{
    struct sim_process *process = user;
    uint64_t where = 0;
    trp_error error;

    sim_trace_post(process->world, "process", process->pid, route, sections, count);
    if (tri_channel_post(&process->channel, route, sections, count, &where, &error) != TRP_OK)
        sim_fail(process->world, "post: %s", error.message);
    if (credit_bytes > 0)
        tri_session_use(&process->channel.session, tri_envelope_bytes(sections, count));
    return where;
}

static bool
op_has_credit(void *user, uint64_t bytes)
{
    struct sim_process *process = user;

    return tri_session_has_credit(&process->channel.session, bytes);
}

static void
op_release(void *user, uint64_t bytes)
{
    struct sim_process *process = user;

    tri_session_release(&process->channel.session, bytes);
}

static struct tri_ref *
op_ref_new(void *user, bool is_actor)
{
    struct sim_ref *ref = calloc(1, sizeof *ref);

    (void)is_actor;
    if (ref == NULL)
        return NULL;
    ref->owner = user;
    tri_list_init(&ref->ref.waiters);
    return &ref->ref;
}

static void
op_ref_free(void *user, struct tri_ref *ref)
{
    (void)user;
    memset(ref, 0xdd, sizeof *ref);
    free(ref);
}

static void
op_ready(void *user, struct tri_ref *ref)
{
    sim_record_ready(user, ref);
}

static void
op_cut(void *user, const trp_error *why)
{
    struct sim_process *process = user;

    sim_fail(process->world, "process %d was cut: %s", process->pid, why->message);
}

/* ------------------------------------------------------------------------------------------------------- life and death */

struct sim_process *
sim_process_new(struct sim_world *world, bool is_host, uint64_t token)
{
    struct sim_process *process = NULL;
    struct tri_proc_ops ops = {
        .post = op_post,
        .has_credit = op_has_credit,
        .release = op_release,
        .ref_new = op_ref_new,
        .ref_free = op_ref_free,
        .ready = op_ready,
        .cut = op_cut,
        .here = sim_arena_here,
    };
    trp_error error;

    for (uint32_t i = 0; i < SIM_PROCESSES && process == NULL; i++)
        if (!world->processes[i].used)
            process = &world->processes[i];
    if (process == NULL) {
        sim_fail(world, "more than %d processes", SIM_PROCESSES);
        return NULL;
    }
    memset(process, 0, sizeof *process);
    process->world = world;
    if (process >= world->processes + world->process_top)
        world->process_top = (uint32_t)(process - world->processes) + 1;
    process->used = process->alive = true;
    process->is_host = is_host;
    process->token = token;
    process->pid = ++world->next_pid;
    process->hello_ns = world->now_ns + sim_random(world, 2000000);
    tri_list_init(&process->to_broker);
    tri_list_init(&process->to_process);
    tri_list_init(&process->mailbox);
    tri_channel_init(&process->channel, 1, 1);
    sim_mix_process(process);
    ops.user = process;
    if (is_host)
        sim_host_ops(&ops);
    if (tri_proc_new(is_host, &ops, world->options.seed + (uint64_t)process->pid, &process->proc, &error) != TRP_OK)
        sim_fail(world, "a new process: %s", error.message);
    return process;
}

void
sim_process_end(struct sim_process *process)
{
    struct sim_world *world = process->world;
    struct sim_event *event;
    uint64_t started = 0, finished = 0;

    sim_trace(world, "%s %d dies", process->is_host ? "host" : "driver", process->pid);
    if (process->is_host)
        sim_host_progress(process, &started, &finished);
    process->alive = false;
    process->up = false;
    if (world->core != NULL || process->is_host) {
        event = sim_event_add(world, process->is_host ? SIM_EXITED : SIM_DRIVER_GONE, 1000 + sim_random(world, 500000));
        event->pid = process->pid;
        event->token = process->token;
        event->started = started;
        event->finished = finished;
        event->resident = process->actor;
        event->ran_tasks = process->ran_tasks;
    }
    sim_queue_clear(&process->to_process);
    if (sim_chance(world, 50))
        sim_queue_clear(&process->to_broker);
    process->depth = 0;
    process->bag.count = process->args.count = process->kept.count = process->awaited.count = process->open.count = 0;
    tri_proc_destroy(&process->proc);
    tri_channel_fini(&process->channel);
}

void
sim_process_part(struct sim_process *process)
{
    const struct tri_route route = {.kind = TRI_GOODBYE};
    trp_error error;

    sim_trace(process->world, "driver %d parts", process->pid);
    process->parts = true;
    if (tri_channel_post(&process->channel, &route, NULL, 0, NULL, &error) != TRP_OK)
        sim_fail(process->world, "post: %s", error.message);
}

void
sim_process_cut(struct sim_process *process)
{
    sim_trace(process->world, "link of process %d is cut", process->pid);
    sim_queue_clear(&process->to_broker);
    sim_queue_clear(&process->to_process);
    process->up = process->hello_out = false;
    process->hello_ns = process->world->now_ns + sim_random(process->world, 1000000);
}

void
sim_process_lost(struct sim_process *process)
{
    sim_process_cut(process);
}

/* ---------------------------------------------------------------------------------------------------------- logging in */

void
sim_process_hello(struct sim_process *process)
{
    struct tri_route route = {.kind = TRI_HELLO};
    struct tri_login login = {
        .version_min = TRI_WIRE_VERSION,
        .version_max = TRI_WIRE_VERSION,
        .role = process->is_host ? TRI_HOST : TRI_DRIVER,
        .pid = process->pid,
        .cookie = (uint64_t)process->pid * 7919,
        .space = tri_proc_space(process->proc),
        .received = process->channel.session.received,
        .broker = process->broker,
        .host_token = process->token,
        .program = "sim",
    };
    struct tri_packed packed = {0};
    struct tri_packet packet;
    trp_error error;

    if (tri_login_pack(&packed, &login, &error) != TRP_OK ||
        tri_packet_single(&packet, &route, &packed.section, 1, &error) != TRP_OK) {
        sim_fail(process->world, "HELLO: %s", error.message);
        return;
    }
    sim_queue_add(&process->to_broker, &packet);
    tri_packed_fini(&packed);
    process->hello_out = true;
}

static void
emit(void *user, struct tri_packet *packet)
{
    sim_queue_add(&((struct sim_process *)user)->to_broker, packet);
}

static trp_err
on_single(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct sim_process *process = user;
    struct tri_welcome welcome;
    struct tri_section section;
    bool first = tri_proc_space(process->proc) == 0;

    tri_envelope_section(envelope, 0, &section);
    if (envelope->route.kind != TRI_WELCOME)
        return TRI_FAIL(error, TRP_EPROTO, "%s instead of WELCOME", tri_kind_name(envelope->route.kind));
    TRP_TRY(tri_welcome_unpack(&section, &welcome, error));
    process->up = true;
    process->broker = welcome.broker;
    if (first || welcome.snapshot)
        tri_channel_reset(&process->channel, welcome.credit_calls, welcome.credit_bytes);
    else
        TRP_TRY(tri_session_resume(&process->channel.session, welcome.received, emit, process, error));
    TRP_TRY(tri_proc_welcome(process->proc, &welcome, process->world->now_ns, error));
    sim_arena_welcome(process, &welcome);
    return TRP_OK;
}

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct sim_process *process = user;

    sim_trace(process->world, "  process %d takes %s %llx:%llu", process->pid, tri_kind_name(envelope->route.kind),
              (unsigned long long)envelope->route.result.space, (unsigned long long)envelope->route.result.number);
    sim_omen(process, envelope->route.kind);
    if (envelope->route.kind == TRI_LEASE)
        return sim_arena_lease(process, envelope, error);
    if (envelope->route.kind == TRI_REVOKE)
        return sim_arena_revoke(process);
    return tri_proc_envelope(process->proc, envelope, process->world->now_ns, error);
}

static struct sim_bag *
bag_of(struct sim_process *process)
{
    return process->depth > 0 ? &process->stack[process->depth - 1].bag : &process->bag;
}

void
sim_process_packet(struct sim_process *process, struct tri_packet *packet)
{
    enum tri_receipt receipt = TRI_TAKE;
    struct tri_batch_head head;
    trp_error error;
    trp_err err = tri_packet_head(packet, &head, &error);

    sim_program_before(process, bag_of(process));
    if (err == TRP_OK && head.sequence == 0 && head.envelope_count > 0)
        err = tri_packet_each(packet, on_single, process, &error);
    else if (err == TRP_OK && process->up)
        err = tri_channel_receive(&process->channel, packet, on_envelope, process, &receipt, &error);
    if (err != TRP_OK)
        sim_fail(process->world, "process %d refuses a packet: %s", process->pid, error.message);
    else if (process->up)
        tri_proc_tick(process->proc, process->world->now_ns);
    sim_program_after(process, bag_of(process));
    if (receipt == TRI_GAP)
        sim_process_cut(process);
}

bool
sim_process_flush(struct sim_process *process)
{
    bool any;
    trp_error error;

    if (!process->up)
        return false;
    sim_arena_give(process);
    if (process->world->draining)
        sim_arena_rest(process);
    tri_proc_round(process->proc, process->world->now_ns);
    any = tri_channel_has_output(&process->channel) || tri_session_owes(&process->channel.session);
    if (tri_channel_flush(&process->channel, emit, process, &error) != TRP_OK ||
        tri_channel_acknowledge(&process->channel, emit, process, &error) != TRP_OK)
        sim_fail(process->world, "flush: %s", error.message);
    return any;
}
