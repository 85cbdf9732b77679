/*
 * ending.c - the end of a seed: faults stop, everything drains, every call has ended; then all is let go of, and nothing may
 * be left anywhere.
 */
#include "tests/sim/sim.h"

enum { ENDING_STEPS = 400000 };

static void
settle(struct sim_world *world, const char *phase)
{
    uint64_t from = world->step, until = world->now_ns + 60 * TRI_NS_PER_S;
    int idle = 0;

    while (!world->failed && idle < 3 && world->step - from < ENDING_STEPS && world->now_ns < until)
        idle = sim_step(world, true) ? 0 : idle + 1;
    sim_trace(world, "%s: settled after %llu steps", phase, (unsigned long long)(world->step - from));
    if (idle < 3 && world->step - from >= ENDING_STEPS)
        sim_fail(world, "%s: it does not come to rest", phase);
}

#define EACH_PROCESS(world, process)                                                                                   \
    for (struct sim_process *process = (world)->processes; process < (world)->processes + (world)->process_top;        \
         process++)                                                                                                    \
        if (process->used && process->alive)

static void
want_all(struct sim_world *world)
{
    trp_error error;

    EACH_PROCESS(world, process)
    {
        for (uint32_t i = 0; i < process->bag.count; i++)
            if (tri_proc_want(process->proc, process->bag.vars[i], &error) != TRP_OK)
                sim_fail(world, "want: %s", error.message);
    }
}

static void
seal_all(struct sim_world *world)
{
    EACH_PROCESS(world, process)
    sim_program_seal_all(process);
}

static void
each_has_ended(struct sim_process *process, const struct sim_bag *bag)
{
    for (uint32_t i = 0; i < bag->count; i++) {
        struct sim_ref *ref = (struct sim_ref *)(void *)bag->vars[i];
        if (ref->ref.state == TRI_REF_PENDING && !ref->endless)
            sim_fail(
                process->world, "%llx:%llu of process %d never ended%s%s; %llu calls of its window are in use",
                (unsigned long long)ref->ref.entry.id.space, (unsigned long long)ref->ref.entry.id.number, process->pid,
                ref->ref.own_call ? ", a call of its own" : "",
                ref->ref.out != NULL && ref->ref.handed == 0 ? ", never sent" : "",
                (unsigned long long)(process->channel.session.used_calls - process->channel.session.returned_calls));
    }
}

static void
all_ended(struct sim_world *world)
{
    struct tri_core_counts counts;

    tri_core_count(world->core, &counts);
    sim_trace(world, "broker: %llu calls and %llu tasks queued, %llu pending, %llu waits, %llu hosts, %.1f CPUs in use",
              (unsigned long long)counts.queued_calls, (unsigned long long)counts.queued_tasks,
              (unsigned long long)counts.pending, (unsigned long long)counts.blocked, (unsigned long long)counts.hosts,
              counts.cpus_used);
    EACH_PROCESS(world, process)
    {
        sim_trace(world, "%s %d: %u run, mailbox %s",
                  process->is_host ? process->has_actor ? "actor" : "host" : "driver", process->pid, process->depth,
                  tri_list_empty(&process->mailbox) ? "empty" : "not empty");
        for (uint32_t i = 0; i < process->depth; i++)
            for (uint32_t k = 0; k < process->stack[i].wait_count; k++)
                sim_trace(world, "    %llx:%llu waits for %llx:%llu", (unsigned long long)process->stack[i].id.space,
                          (unsigned long long)process->stack[i].id.number,
                          (unsigned long long)process->stack[i].waits[k]->entry.id.space,
                          (unsigned long long)process->stack[i].waits[k]->entry.id.number);
    }
    EACH_PROCESS(world, process)
    {
        if (!process->up)
            sim_fail(world, "process %d is not logged in", process->pid);
        if (process->depth > 0 || (!tri_list_empty(&process->mailbox) && !process->stopping))
            sim_fail(world, "host %d still runs or has calls (%u, first %llx:%llu%s)", process->pid, process->depth,
                     (unsigned long long)process->stack[0].id.space, (unsigned long long)process->stack[0].id.number,
                     process->depth > 0 && process->stack[0].blocked ? ", waits" : "");
        each_has_ended(process, &process->bag);
        each_has_ended(process, &process->awaited);
    }
    if (counts.queued_calls != 0 || counts.queued_tasks != 0 || counts.blocked != 0)
        sim_fail(world, "the broker still has %llu calls, %llu tasks, %llu waits",
                 (unsigned long long)counts.queued_calls, (unsigned long long)counts.queued_tasks,
                 (unsigned long long)counts.blocked);
}

struct holder {
    const struct sim_process *process;
    tri_peer_index peer;
    uint64_t holds;
};

/* Nothing is on its way: what a process holds is what the broker counts, but for results of its own that nobody else knows. */
static void
match_hold(void *user, const struct tri_ref *ref)
{
    struct holder *holder = user;
    const struct sim_process *process = holder->process;
    uint64_t counted = tri_core_handed(process->world->core, holder->peer, ref->entry.id);

    holder->holds += counted > 0;
    if (counted != ref->handed && (counted != 0 || ref->entry.id.space != tri_proc_space(process->proc)))
        sim_fail(process->world, "process %d holds %llx:%llu %llu times, the broker counts %llu", process->pid,
                 (unsigned long long)ref->entry.id.space, (unsigned long long)ref->entry.id.number,
                 (unsigned long long)ref->handed, (unsigned long long)counted);
}

static void
holds_match(struct sim_world *world)
{
    struct tri_core_counts counts;
    uint64_t holds = 0;

    EACH_PROCESS(world, process)
    {
        struct holder holder = {.process = process};
        if (sim_peer_of(world, process) == NULL)
            continue;
        holder.peer = (tri_peer_index)(sim_peer_of(world, process) - world->peers);
        tri_proc_each(process->proc, match_hold, &holder);
        holds += holder.holds;
    }
    tri_core_count(world->core, &counts);
    if (holds != counts.holds)
        sim_fail(world, "processes know of %llu holds, the broker of %llu", (unsigned long long)holds,
                 (unsigned long long)counts.holds);
}

/* Hosts of a name that nobody has asked to end. */
static void
names_are_unique(struct sim_world *world)
{
    EACH_PROCESS(world, process)
    {
        EACH_PROCESS(world, other)
        {
            if (other > process && process->name[0] != '\0' && strcmp(process->name, other->name) == 0 &&
                sim_settled(process) && sim_settled(other))
                sim_fail(world, "hosts %d and %d both have the actor '%s'", process->pid, other->pid, process->name);
        }
    }
}

static void
let_go(struct sim_world *world)
{
    EACH_PROCESS(world, process)
    {
        sim_bag_clear(&process->bag);
        sim_bag_clear(&process->kept);
        sim_bag_clear(&process->awaited);
    }
}

static void
trace_ref(void *user, const struct tri_ref *ref)
{
    sim_trace(user, "left: %llx:%llu handles %u handed %llu state %u%s%s%s%s%s",
              (unsigned long long)ref->entry.id.space, (unsigned long long)ref->entry.id.number, ref->handles,
              (unsigned long long)ref->handed, ref->state, ref->is_actor ? " actor" : "", ref->kept ? " kept" : "",
              ref->returned ? " returned" : "", ref->own_call ? " own call" : "", ref->out != NULL ? " out" : "");
}

static void
end_detached(struct sim_world *world)
{
    EACH_PROCESS(world, process)
    {
        sim_trace(world, "process %d is left with", process->pid);
        tri_proc_each(process->proc, trace_ref, world);
    }
    EACH_PROCESS(world, process)
    {
        if (!process->has_actor)
            continue;
        if (!process->detached)
            sim_fail(world, "the actor in host %d lives though nobody holds it", process->pid);
        else
            sim_process_end(process);
    }
}

static void
nothing_left(struct sim_world *world)
{
    struct tri_core_counts core;

    EACH_PROCESS(world, process)
    {
        struct tri_proc_counts counts;
        tri_proc_count(process->proc, &counts);
        tri_proc_each(process->proc, trace_ref, world);
        if (counts.refs + counts.outstanding + counts.queued + counts.kept + counts.incoming > 0)
            sim_fail(
                world,
                "process %d (%s) is left with %llu references, %llu outstanding, %llu queued, %llu kept, %llu accepted",
                process->pid, process->is_host ? "host" : "driver", (unsigned long long)counts.refs,
                (unsigned long long)counts.outstanding, (unsigned long long)counts.queued,
                (unsigned long long)counts.kept, (unsigned long long)counts.incoming);
        if (process->channel.session.used_calls != process->channel.session.returned_calls ||
            process->channel.session.used_bytes != process->channel.session.returned_bytes)
            sim_fail(
                world, "process %d never got all of its credit back: %llu calls", process->pid,
                (unsigned long long)(process->channel.session.used_calls - process->channel.session.returned_calls));
    }
    for (uint32_t i = 0; i < world->peer_top; i++)
        if (world->peers[i].used &&
            world->peers[i].channel.session.used_calls != world->peers[i].channel.session.returned_calls)
            sim_fail(world, "host %d never gave all credit back", world->peers[i].process->pid);
    tri_core_count(world->core, &core);
    sim_arena_is_empty(world);
    if (core.actors + core.names + core.pending + core.objects + core.holds > 0 || core.cpus_used > 0.001)
        sim_fail(
            world,
            "the broker is left with %llu actors, %llu names, %llu pending, %llu objects, %llu holds, %.2f CPUs in use",
            (unsigned long long)core.actors, (unsigned long long)core.names, (unsigned long long)core.pending,
            (unsigned long long)core.objects, (unsigned long long)core.holds, core.cpus_used);
}

void
sim_ending(struct sim_world *world)
{
    world->draining = true;
    seal_all(world);
    want_all(world);
    settle(world, "draining");
    if (!world->failed && world->core == NULL)
        sim_fail(world, "there is no broker at the end");
    if (!world->failed)
        all_ended(world);
    if (!world->failed)
        holds_match(world);
    if (!world->failed)
        names_are_unique(world);
    if (world->failed)
        return;
    let_go(world);
    settle(world, "letting go");
    if (world->failed)
        return;
    end_detached(world);
    settle(world, "the last actors");
    if (!world->failed)
        nothing_left(world);
}
