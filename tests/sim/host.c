/*
 * host.c - a simulated worker host: its mailbox, executions on a stack (tasks run in place stand on the one that waits), one
 * step of an execution at a time, its progress page.
 */
#include "tests/sim/sim.h"

static struct sim_execution *
top(struct sim_process *host)
{
    return host->depth == 0 ? NULL : &host->stack[host->depth - 1];
}

/* ----------------------------------------------------------------------------------------------------- what comes in */

static void
op_run(void *user, struct tri_incoming *call)
{
    struct sim_process *host = user;

    if (host->memory_bytes != 0 && (call->route->flags & TRI_TASK) != 0 && !call->in_place)
        sim_fail(host->world, "host %d, made with an actor's memory limit, got a task", host->pid);
    sim_trace(host->world, "  host %d accepts %llx:%llu (%s)", host->pid, (unsigned long long)call->entry.id.space,
              (unsigned long long)call->entry.id.number, call->in_place ? "in place" : "queued");
    sim_record_given(host, call);
    sim_arena_arguments(host, call);
    tri_list_append(&host->mailbox, &call->link);
}

static void
op_create(void *user, const struct tri_envelope *envelope)
{
    struct sim_process *host = user;
    struct tri_spawn_scratch scratch;
    struct tri_section section;
    struct tri_spawn spawn;
    trp_error error;

    if (host->has_actor)
        sim_fail(host->world, "host %d got two actors", host->pid);
    tri_envelope_section(envelope, 0, &section);
    if (tri_spawn_unpack(&section, &spawn, &scratch, &error) != TRP_OK)
        sim_fail(host->world, "CREATE: %s", error.message);
    if (host->memory_bytes != spawn.memory_bytes)
        sim_fail(host->world, "host %d was made with a limit of %llu bytes and got an actor with one of %llu",
                 host->pid, (unsigned long long)host->memory_bytes, (unsigned long long)spawn.memory_bytes);
    host->has_actor = true;
    host->actor = envelope->route.target;
    tri_text_copy(host->name, sizeof host->name, spawn.name);
    host->detached = spawn.detached;
    host->construct_fails = sim_chance(host->world, 5);
    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
        tri_envelope_section(envelope, i, &section);
        sim_bag_take(host, &host->args, &section);
    }
    sim_record_create(host);
}

static void
op_stop(void *user, struct tri_id actor, bool drain)
{
    struct sim_process *host = user;

    if (!host->has_actor || !tri_id_equal(actor, host->actor))
        sim_fail(host->world, "STOP of an actor that does not live in host %d", host->pid);
    host->stopping = true;
    host->drain = drain;
}

static void
op_dropped(void *user, struct tri_incoming *call)
{
    sim_record_heard(user, call);
    sim_arena_let_go(user, call);
    tri_list_remove(&call->link);
}

/* Some that have put their answer off are answered at once, and are done with later. */
static void
op_cancelled(void *user, struct tri_incoming *call)
{
    struct sim_process *host = user;
    struct sim_execution *execution = top(host);

    sim_record_heard(host, call);
    if (call->cancelled != TRI_CANCELLED || execution == NULL || execution->call != call || execution->blocked ||
        !sim_chance(host->world, 40))
        return;
    tri_proc_answer(host->proc, call, &host->world->cancelled.section);
    execution->answered = true;
}

static void
op_deadlock(void *user, struct tri_id parent, const struct tri_section *section)
{
    struct sim_process *host = user;

    (void)section;
    for (uint32_t i = 0; i < host->depth; i++)
        if (tri_id_equal(host->stack[i].id, parent) && host->stack[i].blocked)
            host->stack[i].deadlocked = true;
}

static void
op_renumbered(void *user)
{
    struct sim_process *host = user;

    host->last_started = 0;
    for (uint32_t i = 0; i < host->depth; i++)
        if (host->stack[i].call->index > host->last_started)
            host->last_started = host->stack[i].call->index;
}

void
sim_host_ops(struct tri_proc_ops *ops)
{
    ops->run = op_run;
    ops->create = op_create;
    ops->stop = op_stop;
    ops->dropped = op_dropped;
    ops->cancelled = op_cancelled;
    ops->deadlock = op_deadlock;
    ops->renumbered = op_renumbered;
}

void
sim_host_progress(struct sim_process *host, uint64_t *started, uint64_t *finished)
{
    uint64_t lowest = TRI_NEVER;
    struct tri_node *node;

    for (node = host->mailbox.next; node != &host->mailbox; node = node->next) {
        const struct tri_incoming *call = TRI_OWNER(node, struct tri_incoming, link);
        lowest = call->index < lowest ? call->index : lowest;
    }
    for (uint32_t i = 0; i < host->depth; i++)
        lowest = host->stack[i].call->index < lowest ? host->stack[i].call->index : lowest;
    *started = host->last_started;
    *finished = lowest <= host->last_started ? lowest - 1 : host->last_started;
}

/* ------------------------------------------------------------------------------------------------------- executions */

static bool
start(struct sim_process *host, struct tri_incoming *call)
{
    struct sim_execution *execution;
    struct tri_section section;

    if (host->depth == SIM_DEPTH) {
        sim_fail(host->world, "host %d runs %d executions", host->pid, SIM_DEPTH);
        return false;
    }
    tri_list_remove(&call->link);
    sim_record_start(host, call);
    tri_proc_start(host->proc, call);
    if (call->index > host->last_started)
        host->last_started = call->index;
    execution = &host->stack[host->depth++];
    memset(execution, 0, sizeof *execution);
    execution->call = call;
    execution->id = call->entry.id;
    execution->steps_left = (uint32_t)sim_random(host->world, host->world->draining ? 2 : 6);
    for (uint32_t i = 0; i < call->section_count; i++) {
        section = call->sections[i];
        sim_bag_take(host, &execution->bag, &section);
    }
    return true;
}

/* What may start now: calls when nothing runs, tasks in place when all that runs waits. */
static bool
start_next(struct sim_process *host)
{
    struct sim_execution *running = top(host);
    struct tri_node *node;

    if (running != NULL && !running->blocked)
        return false;
    if (host->has_actor && (!host->constructed || (host->stopping && !host->drain)))
        return false;
    for (node = host->mailbox.next; node != &host->mailbox; node = node->next) {
        struct tri_incoming *call = TRI_OWNER(node, struct tri_incoming, link);
        if (running == NULL || call->in_place)
            return start(host, call);
    }
    return false;
}

static void
finish(struct sim_process *host)
{
    struct sim_world *world = host->world;
    struct sim_execution *execution = top(host);
    struct tri_ref_entry entries[4];
    struct tri_section section;
    struct tri_id id = execution->id;
    struct sim_record *record = sim_record_find(world, id);
    const bool cancelled = execution->call->cancelled == TRI_CANCELLED;
    bool fails = sim_chance(world, 10) || cancelled;
    uint64_t payload = sim_payload(id);
    struct tri_buf *stored;
    trp_error error;

    if (fails) {
        section = cancelled ? world->cancelled.section : world->error.section;
    } else {
        memcpy((uint8_t *)(uintptr_t)world->value.section.data + world->payload_at, &payload, sizeof payload);
        sim_section_of(host, &world->value, &execution->bag,
                       execution->bag.count == 0 ? 0 : (uint32_t)sim_random(world, 3), false, entries, &section);
    }
    if (host->has_actor)
        sim_program_inherit(host, execution->call);
    if (record != NULL) {
        record->failed = fails;
        record->returned = true;
    }
    stored = fails ? NULL : sim_arena_make(host);
    if (stored != NULL) {
        section.data = NULL;
        section.size = stored->size;
        section.meta_size = 64;
        section.frame = stored;
    }
    sim_arena_let_go(host, execution->call);
    sim_trace(world, "host %d returns %llx:%llu%s", host->pid, (unsigned long long)id.space,
              (unsigned long long)id.number, fails ? ", failed" : "");
    if (tri_proc_return(host->proc, execution->call, &section, fails, &error) != TRP_OK)
        sim_fail(world, "return: %s", error.message);
    if (stored != NULL)
        tri_buf_release(&stored);
    sim_bag_clear(&execution->bag);
    host->depth--;
}

static void
go_on(struct sim_process *host, struct sim_execution *execution)
{
    sim_trace(host->world, "host %d: %llx:%llu goes on%s", host->pid, (unsigned long long)execution->id.space,
              (unsigned long long)execution->id.number, execution->deadlocked ? ", deadlock" : "");
    tri_proc_unblocked(host->proc, execution->id);
    for (uint32_t i = 0; i < execution->wait_count; i++)
        tri_proc_release(execution->waits[i]);
    execution->wait_count = 0;
    execution->blocked = execution->deadlocked = false;
}

static bool
may_go_on(const struct sim_execution *execution)
{
    uint32_t ready = 0;

    for (uint32_t i = 0; i < execution->wait_count; i++)
        ready += execution->waits[i]->state != TRI_REF_PENDING;
    return execution->deadlocked || ready == execution->wait_count || (execution->any && ready > 0) ||
           execution->call->cancelled;
}

static void
exit_host(struct sim_process *host, bool in_order)
{
    if (in_order) {
        sim_bag_clear(&host->kept);
        sim_bag_clear(&host->awaited);
        sim_program_seal_all(host);
        tri_proc_ended(host->proc, host->actor);
    }
    host->leaving = true;
}

/* Behind an execution that waits no task may wait: what depends on what is nobody's to know. */
static bool
give_back(struct sim_process *host)
{
    struct tri_incoming *calls[64];
    struct tri_node *node, *next;
    size_t count = 0;

    for (node = host->mailbox.next; node != &host->mailbox && count < 64; node = next) {
        struct tri_incoming *call = TRI_OWNER(node, struct tri_incoming, link);
        next = node->next;
        if (call->in_place)
            continue;
        tri_list_remove(&call->link);
        sim_arena_let_go(host, call);
        calls[count++] = call;
    }
    if (count > 0)
        tri_proc_give_back(host->proc, calls, count);
    return count > 0;
}

static bool
construct(struct sim_process *host)
{
    if (sim_chance(host->world, 60))
        return true; /* it takes its time */
    sim_bag_clear(&host->args);
    if (host->construct_fails) {
        tri_proc_ready(host->proc, host->actor, 1, &host->world->error.section);
        exit_host(host, false);
        return true;
    }
    host->constructed = true;
    tri_proc_ready(host->proc, host->actor, 1, NULL);
    return true;
}

bool
sim_host_act(struct sim_process *host)
{
    struct sim_execution *execution = top(host);

    if (host->leaving) {
        if (!host->up || tri_channel_has_output(&host->channel) || host->channel.session.sent_count > 0)
            return false; /* its last words first, and what it is asked for because of them */
        sim_process_end(host);
        return true;
    }
    if (host->has_actor && !host->constructed)
        return construct(host);
    if (execution != NULL && execution->blocked && may_go_on(execution)) {
        go_on(host, execution);
        return true;
    }
    if (execution != NULL && execution->blocked && !host->has_actor && give_back(host))
        return true;
    if (host->stopping && host->depth == 0 && (!host->drain || tri_list_empty(&host->mailbox))) {
        exit_host(host, true);
        return true;
    }
    if (start_next(host))
        return true;
    execution = top(host);
    if (execution == NULL || execution->blocked)
        return false;
    if (execution->steps_left == 0 || execution->call->cancelled)
        finish(host);
    else {
        execution->steps_left--;
        sim_program_step(host, &execution->bag, execution);
    }
    return true;
}
