/*
 * record.c - what the simulator knows by itself, and holds against what processes are told: every call, where it ran, how
 * often, in which order, with what outcome; where each actor lives.
 */
#include "tests/sim/sim.h"

struct sim_record *
sim_record_find(struct sim_world *world, struct tri_id id)
{
    struct tri_entry *entry = tri_table_find(&world->records, id);

    return entry == NULL ? NULL : TRI_OWNER(entry, struct sim_record, entry);
}

struct sim_record *
sim_record_add(struct sim_world *world, struct tri_id id)
{
    struct sim_record *record = calloc(1, sizeof *record);

    if (record == NULL || tri_table_reserve(&world->records, 1) != TRP_OK)
        abort();
    record->entry.id = id;
    record->next = world->all_records;
    world->all_records = record;
    tri_table_insert(&world->records, &record->entry);
    return record;
}

void
sim_records_fini(struct sim_world *world)
{
    while (world->all_records != NULL) {
        struct sim_record *record = world->all_records;
        world->all_records = record->next;
        free(record);
    }
    tri_table_fini(&world->records);
}

struct tri_id
sim_one_way_id(uint64_t caller, struct tri_id target, uint64_t sequence)
{
    uint64_t words[4] = {caller, target.space, target.number, sequence};

    return tri_id_of_text((const char *)words, sizeof words);
}

struct sim_process *
sim_host_with(struct sim_world *world, uint64_t token)
{
    for (uint32_t i = 0; i < world->process_top; i++)
        if (world->processes[i].used && world->processes[i].is_host && world->processes[i].token == token)
            return &world->processes[i];
    return NULL;
}

struct sim_process *
sim_host_of(struct sim_world *world, struct tri_id actor)
{
    for (uint32_t i = 0; i < world->process_top; i++) {
        struct sim_process *host = &world->processes[i];
        if (host->used && host->alive && host->has_actor && tri_id_equal(host->actor, actor))
            return host;
    }
    return NULL;
}

static bool
space_lives(struct sim_world *world, uint64_t space)
{
    for (uint32_t i = 0; i < world->process_top; i++)
        if (world->processes[i].used && world->processes[i].alive && tri_proc_space(world->processes[i].proc) == space)
            return true;
    return false;
}

/* One that nobody has asked to end: neither by a message that may be on its way, nor by dying. */
bool
sim_settled(const struct sim_process *host)
{
    struct sim_record *record = sim_record_find(host->world, host->actor);

    return host->alive && host->has_actor && !host->leaving && !host->stopping && !host->killed &&
           !host->construct_fails && (record == NULL || !record->kill_asked) &&
           (host->detached || space_lives(host->world, host->actor.space));
}

void
sim_record_create(struct sim_process *host)
{
    const struct sim_world *world = host->world;

    for (uint32_t i = 0; i < world->process_top; i++) {
        const struct sim_process *other = &world->processes[i];
        if (!other->used || other == host || !sim_settled(other))
            continue;
        if (tri_id_equal(other->actor, host->actor))
            sim_fail(host->world, "an actor was created in host %d while it lives in host %d", host->pid, other->pid);
    }
}

/* The broker makes an actor. */
void
sim_record_made(struct sim_world *world, struct tri_id actor)
{
    const struct sim_record *record = sim_record_find(world, actor);

    if (record != NULL && record->killed_ns != 0 && world->now_ns > record->killed_ns)
        sim_fail(world, "an actor is made whose KILL was answered");
}

/* A top-level argument whose value is known to be an error: the call must not run. */
static void
check_arguments(struct sim_process *host, const struct tri_incoming *call)
{
    const struct tri_section *body = &call->sections[0];

    for (uint32_t i = 0; i < body->ref_count; i++) {
        const struct tri_ref_entry *entry = &body->refs[i];
        const struct sim_record *record = sim_record_find(host->world, entry->id);
        bool found = false;
        if (entry->place == TRI_NESTED || (entry->flags & TRI_REF_ACTOR) != 0)
            continue;
        for (uint32_t k = 1; k < call->section_count; k++)
            found |= call->sections[k].place == entry->place + 1;
        if (!found)
            sim_fail(host->world, "a call runs without the value of its argument %u", entry->place);
        if (record != NULL && record->returned && record->failed)
            sim_fail(host->world, "a call runs although its argument %u failed", entry->place);
    }
}

void
sim_record_cancelled(struct sim_world *world, struct sim_record *record)
{
    if (!record->cancelled)
        record->cancelled_under = world->incarnation;
    record->cancelled = true;
}

/* Its caller says to each broker that it is cancelled before it says the call again. */
void
sim_record_given(struct sim_process *host, const struct tri_incoming *call)
{
    const struct sim_record *record = sim_record_find(host->world, call->entry.id);

    if (record != NULL && record->cancelled && record->cancelled_under < host->world->incarnation)
        sim_fail(host->world, "a call is given to host %d by a broker that has heard that it is cancelled", host->pid);
}

void
sim_record_heard(struct sim_process *host, const struct tri_incoming *call)
{
    struct sim_record *record = sim_record_find(host->world, call->entry.id);

    if (record != NULL && call->cancelled == TRI_CANCELLED)
        record->heard = true;
}

void
sim_record_start(struct sim_process *host, struct tri_incoming *call)
{
    const struct tri_route *route = call->route;
    struct sim_world *world = host->world;
    bool one_way = (route->flags & TRI_ONE_WAY) != 0, task = (route->flags & TRI_TASK) != 0;
    struct tri_id id = one_way ? sim_one_way_id(call->caller.space, route->target, route->sequence) : route->result;
    struct sim_record *record = sim_record_find(world, id);
    struct sim_process *before;

    sim_trace(world, "host %d starts %llx:%llu sequence %llu", host->pid, (unsigned long long)call->entry.id.space,
              (unsigned long long)call->entry.id.number, (unsigned long long)route->sequence);
    host->ran_tasks |= task;
    check_arguments(host, call);
    if (record == NULL) {
        if (!(one_way && task) && call->caller.space != 0)
            sim_fail(world, "a call runs that nobody made: sequence %llu", (unsigned long long)route->sequence);
        return;
    }
    before = record->ran_on == 0 ? NULL : sim_host_with(world, record->ran_on);
    if (before != NULL && before->alive)
        sim_fail(world, "a call ran twice while its host %d lived", before->pid);
    if (record->runs > 0 && (!task || record->no_retry))
        sim_fail(world, "a call %s ran twice, on hosts %llu and %llu", task ? "without a retry" : "of an actor",
                 (unsigned long long)record->ran_on, (unsigned long long)host->token);
    if (call->cancelled == TRI_CANCELLED)
        sim_fail(world, "a call starts that is cancelled");
    if (record->dropped)
        sim_fail(world, "a call runs that was cancelled, and said not to have run");
    if (record->cancelled && record->heard)
        sim_fail(world, "a call starts though a host has heard from its caller that it is cancelled");
    record->runs++;
    record->ran_on = host->token;
    if (task)
        return;
    if (!tri_id_equal(route->target, host->actor))
        sim_fail(world, "host %d runs a call of another actor", host->pid);
    id = sim_one_way_id(record->caller, route->target, UINT64_MAX);
    record = sim_record_find(world, id);
    if (record == NULL)
        record = sim_record_add(world, id);
    if (record->ran_on != host->token)
        record->sequence = 0; /* the actor was made anew there: a life of its own */
    record->ran_on = host->token;
    if (route->sequence <= record->sequence)
        sim_fail(world, "lane order: call %llu starts after call %llu", (unsigned long long)route->sequence,
                 (unsigned long long)record->sequence);
    record->sequence = route->sequence;
}

static void
check_value(struct sim_process *process, const struct tri_ref *ref, const struct sim_record *record)
{
    struct sim_world *world = process->world;
    uint64_t payload;

    const bool lies_elsewhere = tri_section_place(tri_ref_value(ref)) != NULL;

    if (!lies_elsewhere && tri_ref_value(ref)->size != world->value.section.size) {
        sim_fail(world, "the result of a call has %llu bytes", (unsigned long long)tri_ref_value(ref)->size);
        return;
    }
    if (!lies_elsewhere)
        memcpy(&payload, tri_ref_value(ref)->data + world->payload_at, sizeof payload);
    if (!lies_elsewhere && payload != sim_payload(ref->entry.id))
        sim_fail(world, "the result of a call is another one's");
    if (record->cancelled && record->heard)
        sim_fail(world, "a value came of a call of which its host had heard that it is cancelled");
    if (!record->returned)
        sim_fail(world, "a result came of a call that has not ended");
}

/* The ID in the words "object ID is lost"; none: it is not said. */
static struct tri_id
lost_object(const char *message)
{
    const char *at = strstr(message, "object ");
    unsigned long long space = 0, number = 0;

    if (at == NULL || sscanf(at, "object %16llx%16llx", &space, &number) != 2)
        return (struct tri_id){0, 0};
    return (struct tri_id){space, number};
}

static void
note_gone(void *user, const struct tri_ref *ref)
{
    struct sim_world *world = user;
    struct sim_record *record = ref->held == NULL ? NULL : sim_record_find(world, ref->entry.id);

    if (ref->held == NULL)
        return;
    if (record == NULL) {
        record = sim_record_add(world, ref->entry.id);
        record->endless = true; /* no call */
    }
    record->gone = true;
}

/* A host is killed by the broker, as one of the programs asks for with KILL: what only it has goes with it. */
void
sim_record_killed(struct sim_process *host)
{
    tri_proc_each(host->proc, note_gone, host->world);
    for (struct sim_record *record = host->world->all_records; record != NULL; record = record->next)
        record->gone |= record->ran_on == host->token; /* it may keep that without a reference */
}

/* One whose calls had all been answered before it went: what it had handed on by then went without it. */
static bool
space_left(struct sim_world *world, uint64_t space)
{
    const struct sim_record *record = sim_record_find(world, (struct tri_id){space, 0});

    return record != NULL && record->left;
}

/* What only its maker had is gone with it, also when that ends in order: the answer to a request that was on its way to it. */
static void
check_lost(struct sim_world *world, struct tri_id lost)
{
    const struct sim_record *record = sim_record_find(world, lost);

    if (world->driver_kills > 0 || world->host_kills > 0 || world->broker_kills > 0 || (record != NULL && record->gone))
        return;
    if (space_lives(world, lost.space))
        sim_fail(world, "an object is lost though nobody was killed and its maker lives");
    if (space_left(world, lost.space))
        sim_fail(world, "an object is lost though its maker had the answers to all its calls when it went");
}

static void
check_failure(struct sim_process *process, const struct tri_ref *ref, struct sim_record *record)
{
    struct tri_failure chain[8];
    struct sim_process *host;
    uint32_t count = 0;
    trp_error error;

    if (tri_error_unpack(tri_ref_value(ref), chain, &count, &error) != TRP_OK) {
        sim_fail(process->world, "an error that cannot be read: %s", error.message);
        return;
    }
    sim_trace(process->world, "  %llx:%llu fails: %s", (unsigned long long)ref->entry.id.space,
              (unsigned long long)ref->entry.id.number, chain[0].error.message);
    host = sim_host_of(process->world, record->target);
    if (chain[0].error.code == TRP_EACTORDIED && count == 1 && !record->task && host != NULL && sim_settled(host))
        sim_fail(process->world, "a call failed as if its actor were dead, which lives in host %d: %s", host->pid,
                 chain[0].error.message);
    if (chain[0].error.code == TRP_EACTORDIED && chain[0].error.ran == TRP_NOT_RUN && record->runs > 0 && !record->task)
        sim_fail(process->world, "a call that ran is said not to have run: %s", chain[0].error.message);
    if (chain[0].error.code == TRP_ECANCELLED && chain[0].error.ran == TRP_NOT_RUN && count == 1) {
        /* Others may have heard of it from a broker that died before its caller did, who asks for it again. */
        record->dropped = ref->entry.id.space == tri_proc_space(process->proc);
        if (record->dropped && record->runs > 0)
            sim_fail(process->world, "a call that ran is said to have been cancelled before: %s",
                     chain[0].error.message);
    }
    if (chain[0].error.code == TRP_EOBJLOST)
        check_lost(process->world, lost_object(chain[0].error.message));
}

static void
note_killed(struct sim_world *world, const struct sim_record *request)
{
    struct sim_record *actor = sim_record_find(world, request->kills);
    const uint64_t from_ns = world->now_ns + request->drain_ns;

    if (actor->killed_ns == 0 || actor->killed_ns > from_ns)
        actor->killed_ns = from_ns;
}

void
sim_record_ready(struct sim_process *process, struct tri_ref *ref)
{
    struct sim_record *record = sim_record_find(process->world, ref->entry.id);

    sim_note(process->world, ref->entry.id.number * 4 + ref->state);
    if (record == NULL || record->endless)
        return;
    if (!tri_id_is_none(record->kills)) {
        if (ref->state == TRI_REF_READY)
            note_killed(process->world, record);
        return;
    }
    if (ref->state == TRI_REF_READY)
        check_value(process, ref, record);
    else if (!ref->local)
        check_failure(process, ref, record);
}
