/*
 * world.c - the scheduler: what happens next is drawn from the seed; time is counted; invariants after each step.
 */
#include <stdarg.h>

#include "tests/sim/sim.h"

uint64_t
sim_random(struct sim_world *world, uint64_t below)
{
    return below == 0 ? 0 : tri_random_next(&world->random) % below;
}

bool
sim_chance(struct sim_world *world, uint32_t percent)
{
    return sim_random(world, 100) < percent;
}

void
sim_fail(struct sim_world *world, const char *format, ...)
{
    va_list arguments;

    if (world->failed)
        return;
    world->failed = true;
    va_start(arguments, format);
    (void)vsnprintf(world->why, sizeof world->why, format, arguments);
    va_end(arguments);
    sim_trace(world, "FAILED: %s", world->why);
}

void
sim_trace(struct sim_world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->options.trace)
        return;
    (void)printf("%6llu %10.3f ms ", (unsigned long long)world->step, (double)world->now_ns / 1e6);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

/* An envelope that is posted, with the ids in it. */
void
sim_trace_post(struct sim_world *world, const char *who, int number, const struct tri_route *route,
               const struct tri_section *sections, uint32_t count)
{
    static const uint8_t lists[] = {TRI_ACCEPTED, TRI_CANCEL, TRI_RETURNED, TRI_WAIT, TRI_FETCH, TRI_BLOCKED};
    const struct tri_run *runs;
    const struct tri_id *ids;
    uint32_t n = 0;

    if (!world->options.trace)
        return;
    sim_trace(world, "  %s %d posts %s %llx:%llu, target %llx:%llu, %u entries", who, number,
              tri_kind_name(route->kind), (unsigned long long)route->result.space,
              (unsigned long long)route->result.number, (unsigned long long)route->target.space,
              (unsigned long long)route->target.number, count == 0 ? 0 : sections[0].ref_count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < sections[i].ref_count; k++)
            sim_trace(world, "      entry %llx:%llu place %d", (unsigned long long)sections[i].refs[k].id.space,
                      (unsigned long long)sections[i].refs[k].id.number, (int)sections[i].refs[k].place);
    if (count == 1 && (route->kind == TRI_RELEASE || route->kind == TRI_FREED) &&
        tri_runs_unpack(sections, &runs, &n, NULL) == TRP_OK)
        for (uint32_t i = 0; i < n; i++)
            sim_trace(world, "      %s %llx:%llu and on by %d, %u in all, times %llu", tri_kind_name(route->kind),
                      (unsigned long long)runs[i].id.space, (unsigned long long)runs[i].id.number, runs[i].step,
                      runs[i].count, (unsigned long long)runs[i].handed);
    for (size_t k = 0; k < sizeof lists; k++)
        if (count == 1 && lists[k] == route->kind && tri_ids_unpack(sections, &ids, &n, NULL) == TRP_OK)
            for (uint32_t i = 0; i < n; i++)
                sim_trace(world, "      %s %llx:%llu", tri_kind_name(route->kind), (unsigned long long)ids[i].space,
                          (unsigned long long)ids[i].number);
}

void
sim_note(struct sim_world *world, uint64_t what)
{
    world->hash = (world->hash ^ what) * UINT64_C(0x100000001b3);
}

/* --------------------------------------------------------------------------------------------------------------- events */

struct sim_event *
sim_event_add(struct sim_world *world, enum sim_event_kind kind, uint64_t delay_ns)
{
    static struct sim_event spare;
    struct sim_event *event = &spare;

    if (world->event_count == SIM_EVENTS)
        sim_fail(world, "more than %d events are due", SIM_EVENTS);
    else
        event = &world->events[world->event_count++];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->due_ns = world->now_ns + delay_ns;
    return event;
}

static void
do_gone(struct sim_world *world, const struct sim_event *event)
{
    if (event->kind == SIM_EXITED) { /* the root collects it */
        sim_root_ended(world, event->resident);
        world->tasks_lost |= event->ran_tasks;
    }
    if (world->core == NULL)
        return;
    sim_trace(world, "the broker hears that process %d died (started %llu, finished %llu)", event->pid,
              (unsigned long long)event->started, (unsigned long long)event->finished);
    sim_broker_gone(world, event);
}

static void
do_event(struct sim_world *world, const struct sim_event *event)
{
    struct sim_process *host;

    sim_note(world, event->kind);
    if (event->kind == SIM_START_BROKER) {
        sim_broker_start(world);
    } else if (event->kind == SIM_KILL) {
        host = sim_host_with(world, event->token);
        if (host == NULL || !host->alive)
            return;
        sim_record_killed(host);
        sim_process_end(host);
    } else if (event->kind == SIM_FORK_FAILED) {
        world->core_moved = true;
        tri_core_fork_failed(world->core, event->token, TRP_ELIMIT, "there are too many processes", world->now_ns);
    } else {
        do_gone(world, event);
    }
}

static bool
do_events(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->event_count; i++) {
        struct sim_event event = world->events[i];
        if (event.due_ns > world->now_ns)
            continue;
        world->events[i] = world->events[--world->event_count];
        do_event(world, &event);
        return true;
    }
    return false;
}

bool
sim_exit_is_due(const struct sim_world *world, const struct sim_process *process)
{
    for (uint32_t i = 0; i < world->event_count; i++)
        if (world->events[i].kind == SIM_EXITED && world->events[i].pid == process->pid)
            return true;
    return false;
}

static bool
has_event(const struct sim_world *world, int32_t pid)
{
    for (uint32_t i = 0; i < world->event_count; i++)
        if (world->events[i].pid == pid)
            return true;
    return false;
}

/* ----------------------------------------------------------------------------------------------------- single actions */

/* A link that was made anew may bring a packet once more, late. */
static void
maybe_again(struct sim_world *world, struct tri_node *queue, struct tri_packet *packet)
{
    struct tri_packet again = *packet;
    struct tri_batch_head head;

    if (!sim_chance(world, 1) || tri_packet_head(packet, &head, NULL) != TRP_OK || head.sequence == 0)
        return;
    for (uint32_t i = 0; i < again.frame_count; i++)
        (void)tri_buf_retain(again.frames[i]);
    sim_queue_add(queue, &again);
}

static bool
deliver_up(struct sim_world *world, struct sim_process *process)
{
    struct sim_packet *packet;

    if (world->core == NULL || tri_list_empty(&process->to_broker))
        return false;
    packet = TRI_OWNER(process->to_broker.next, struct sim_packet, link);
    tri_list_remove(&packet->link);
    sim_trace(world, "packet of %d arrives at the broker", process->pid);
    maybe_again(world, &process->to_broker, &packet->packet);
    if (process->alive || sim_peer_of(world, process) != NULL)
        sim_broker_packet(world, process, &packet->packet);
    tri_packet_fini(&packet->packet);
    free(packet);
    return true;
}

/* It has the answers to all its calls, and goes, with a word or without. */
static void
leave(struct sim_process *process)
{
    struct sim_world *world = process->world;

    sim_record_add(world, (struct tri_id){tri_proc_space(process->proc), 0})->left = true;
    if (sim_chance(world, 20))
        sim_process_part(process);
    else
        sim_process_end(process);
    (void)sim_process_new(world, false, 0);
}

static bool
deliver_down(struct sim_process *process)
{
    struct sim_packet *packet;

    if (!process->alive || tri_list_empty(&process->to_process))
        return false;
    packet = TRI_OWNER(process->to_process.next, struct sim_packet, link);
    tri_list_remove(&packet->link);
    sim_trace(process->world, "packet arrives at process %d", process->pid);
    maybe_again(process->world, &process->to_process, &packet->packet);
    sim_process_packet(process, &packet->packet);
    if (!process->world->failed && sim_program_may_go(process))
        leave(process);
    tri_packet_fini(&packet->packet);
    free(packet);
    return true;
}

static bool
act(struct sim_process *process)
{
    if (!process->alive)
        return false;
    if (process->is_host)
        return sim_host_act(process);
    if (process->parts) {
        if (!process->up)
            sim_process_end(process);
        return !process->alive;
    }
    if (process->world->draining || process->leaving || tri_proc_space(process->proc) == 0)
        return false;
    if (tri_proc_queued(process->proc) > 0)
        return false; /* a polite caller waits for room */
    sim_program_step(process, &process->bag, NULL);
    return true;
}

static bool
say_hello(struct sim_world *world, struct sim_process *process)
{
    if (!process->alive || process->parts || process->up || process->hello_out || world->core == NULL ||
        process->hello_ns > world->now_ns)
        return false;
    sim_process_hello(process);
    return true;
}

static bool
tick(struct sim_world *world, struct sim_process *process)
{
    if (!process->alive || tri_proc_next_ns(process->proc) > world->now_ns)
        return false;
    tri_proc_tick(process->proc, world->now_ns);
    return true;
}

/* A dead process whom nobody speaks of any more. */
static void
bury(struct sim_world *world, struct sim_process *process)
{
    if (process->alive || !process->used || has_event(world, process->pid) || sim_peer_of(world, process) != NULL)
        return;
    sim_queue_clear(&process->to_broker);
    sim_queue_clear(&process->to_process);
    process->used = false;
    while (world->process_top > 0 && !world->processes[world->process_top - 1].used)
        world->process_top--;
}

/* Some are slow in one thing or another. */
static bool
one_action(struct sim_world *world, struct sim_process *process, enum sim_turn turn)
{
    if (sim_chance(world, process->slow[turn]))
        return false;
    switch (turn) {
    case SIM_UP:
        return deliver_up(world, process);
    case SIM_DOWN:
        return deliver_down(process);
    case SIM_ACT:
        return act(process);
    default:
        return process->alive && sim_process_flush(process);
    }
}

/* Everything once, in order: whether there is anything to do at all. */
static bool
sweep(struct sim_world *world)
{
    bool any = false;

    for (uint32_t i = 0; i < world->process_top && !world->failed; i++) {
        struct sim_process *process = &world->processes[i];
        if (!process->used)
            continue;
        any |= deliver_up(world, process) | deliver_down(process);
        any |= act(process);
        any |= process->alive && sim_process_flush(process);
        bury(world, process);
    }
    if (world->core != NULL && !world->failed)
        any |= sim_broker_flush(world, true);
    return any;
}

static uint64_t
next_due(const struct sim_world *world)
{
    uint64_t due = world->core == NULL ? TRI_NEVER : tri_core_next_ns(world->core);

    for (uint32_t i = 0; i < world->event_count; i++)
        due = world->events[i].due_ns < due ? world->events[i].due_ns : due;
    for (uint32_t i = 0; i < world->process_top; i++) {
        const struct sim_process *process = &world->processes[i];
        uint64_t next = TRI_NEVER;
        if (!process->used || !process->alive)
            continue;
        next = tri_proc_next_ns(process->proc);
        due = next < due ? next : due;
        if (!process->up && !process->parts && !process->hello_out && world->core != NULL)
            due = process->hello_ns < due ? process->hello_ns : due;
    }
    return due;
}

void
sim_check(struct sim_world *world)
{
    char why[400];

    if (world->core != NULL && world->core_moved && !tri_core_check(world->core, why, sizeof why))
        sim_fail(world, "broker: %s", why);
    world->core_moved = false;
    sim_arena_check(world);
    for (uint32_t i = 0; i < world->process_top; i++)
        if (world->processes[i].used && world->processes[i].alive &&
            (i == world->step % world->process_top || world->options.trace) &&
            !tri_proc_check(world->processes[i].proc, why, sizeof why))
            sim_fail(world, "process %d: %s", world->processes[i].pid, why);
}

static bool
timers(struct sim_world *world)
{
    bool any = do_events(world);

    if (world->core != NULL && tri_core_next_ns(world->core) <= world->now_ns) {
        tri_core_tick(world->core, world->now_ns);
        world->core_moved = true;
        any = true;
    }
    for (uint32_t i = 0; i < world->process_top && !world->failed; i++)
        if (world->processes[i].used)
            any |= tick(world, &world->processes[i]) | say_hello(world, &world->processes[i]);
    return any;
}

bool
sim_step(struct sim_world *world, bool jump)
{
    bool any = false;
    uint64_t due;

    world->step++;
    world->now_ns += 200 + sim_random(world, 20000);
    any = timers(world);
    for (int i = 0; i < 12 && !any && !world->failed; i++) {
        uint32_t turn = sim_draw(world, world->mix.turns, SIM_TURNS);
        struct sim_process *process = &world->processes[sim_random(world, world->process_top)];
        sim_note(world, turn);
        if (turn == SIM_BROKER)
            any = world->core != NULL && sim_broker_flush(world, false);
        else if (process->used)
            any = one_action(world, process, turn);
    }
    if (!any && !world->failed)
        any = sweep(world);
    if (!any && !world->failed && jump) {
        due = next_due(world);
        if (due != TRI_NEVER && due > world->now_ns && due - world->now_ns < 15 * TRI_NS_PER_S) {
            world->now_ns = due;
            any = true;
        }
    }
    if (!world->failed)
        sim_check(world);
    return any;
}

/* ------------------------------------------------------------------------------------------------------------ a whole run */

static void
open_world(struct sim_world *world)
{
    (void)tri_table_init(&world->records, world->options.seed);
    world->random = world->options.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world->now_ns = TRI_NS_PER_S;
    world->hash = UINT64_C(0xcbf29ce484222325);
    sim_mix(world);
    sim_bodies_init(world);
    sim_arena_open(world);
    sim_broker_start(world);
    for (uint32_t i = 0; i < world->mix.drivers; i++)
        (void)sim_process_new(world, false, 0);
}

static void
close_world(struct sim_world *world)
{
    if (world->core != NULL)
        tri_core_destroy(&world->core);
    for (uint32_t i = 0; i < world->peer_top; i++)
        if (world->peers[i].used)
            tri_channel_fini(&world->peers[i].channel);
    for (uint32_t i = 0; i < world->process_top; i++) {
        struct sim_process *process = &world->processes[i];
        if (!process->used)
            continue;
        sim_queue_clear(&process->to_broker);
        sim_queue_clear(&process->to_process);
        if (!process->alive)
            continue;
        tri_proc_destroy(&process->proc);
        tri_channel_fini(&process->channel);
    }
    sim_arena_close(world);
    sim_bodies_fini(world);
    sim_records_fini(world);
}

trp_err
sim_run(const struct sim_options *options, struct sim_world *world)
{
    memset(world, 0, offsetof(struct sim_world, processes));
    for (uint32_t i = 0; i < SIM_PROCESSES; i++)
        world->processes[i].used = false;
    for (uint32_t i = 0; i < SIM_PEERS; i++)
        world->peers[i].used = false;
    world->options = *options;
    open_world(world);
    while (!world->failed && world->step < options->steps) {
        (void)sim_step(world, true);
        if (!world->failed)
            sim_fault(world);
    }
    if (!world->failed)
        sim_ending(world);
    close_world(world);
    return world->failed ? TRP_EINVAL : TRP_OK;
}
