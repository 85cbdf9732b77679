/*
 * program.c - what simulated drivers and executions do: random calls, tasks, values, actors, with the references that they
 * happen to have. It must not know what a body looks like: what varies are the entries beside it.
 */
#include "tests/sim/sim.h"

/* --------------------------------------------------------------------------------------------------------------- bags */

static void
remove_at(struct sim_bag *bag, uint32_t i)
{
    struct tri_ref *ref = bag->vars[i];

    bag->vars[i] = bag->vars[--bag->count];
    tri_proc_release(ref);
}

static void
remove_all(struct sim_bag *bag, const struct tri_ref *ref)
{
    for (uint32_t i = bag->count; i-- > 0;)
        if (bag->vars[i] == ref)
            remove_at(bag, i);
}

/* Which one makes room: hardly one that is waited for, or an actor, which may end with it. */
static uint32_t
least(struct sim_world *world, const struct sim_bag *bag)
{
    uint32_t at = (uint32_t)sim_random(world, bag->count);

    for (int i = 0; i < 3 && (bag->vars[at]->is_actor || ((struct sim_ref *)(void *)bag->vars[at])->eager); i++)
        at = (uint32_t)sim_random(world, bag->count);
    return at;
}

void
sim_bag_add(struct sim_process *process, struct sim_bag *bag, struct tri_ref *ref)
{
    if (bag->count == SIM_VARS)
        remove_at(bag, least(process->world, bag));
    bag->vars[bag->count++] = ref;
}

void
sim_bag_clear(struct sim_bag *bag)
{
    while (bag->count > 0)
        remove_at(bag, bag->count - 1);
}

/* A handle of each reference in a section that is held here. */
void
sim_bag_take(struct sim_process *process, struct sim_bag *bag, const struct tri_section *section)
{
    for (uint32_t i = 0; i < section->ref_count; i++) {
        struct tri_ref *ref = tri_proc_find(process->proc, section->refs[i].id);
        if (ref != NULL)
            sim_bag_add(process, bag, ref);
        else if (!tri_id_is_none(section->refs[i].id) &&
                 (section->refs[i].place == TRI_NESTED || (section->refs[i].flags & TRI_REF_ACTOR) != 0))
            sim_fail(process->world, "process %d got a value that names what it does not hold", process->pid);
    }
}

void
sim_section_of(struct sim_process *process, const struct tri_packed *base, const struct sim_bag *bag, uint32_t count,
               bool arguments, struct tri_ref_entry *entries, struct tri_section *section)
{
    struct sim_world *world = process->world;

    *section = base->section;
    section->refs = entries;
    section->ref_count = 0;
    memset(entries, 0, count * sizeof *entries);
    for (uint32_t i = 0; i < count && bag->count > 0; i++) {
        const struct tri_ref *ref = bag->vars[sim_random(world, bag->count)];
        if (((const struct sim_ref *)(const void *)ref)->endless)
            break;
        section->ref_count++;
        entries[i].id = ref->entry.id;
        entries[i].flags = ref->is_actor ? TRI_REF_ACTOR : 0;
        entries[i].place = arguments && sim_chance(world, 60) ? i : TRI_NESTED;
    }
}

static struct tri_ref *
pick(struct sim_process *process, const struct sim_bag *bag, bool actor)
{
    uint32_t first = bag->count == 0 ? 0 : (uint32_t)sim_random(process->world, bag->count);

    for (uint32_t i = 0; i < bag->count; i++) {
        struct tri_ref *ref = bag->vars[(first + i) % bag->count];
        if (ref->is_actor == actor)
            return ref;
    }
    return NULL;
}

/* -------------------------------------------------------------------------------------------------------------- acts */

struct act {
    struct sim_process *process;
    struct sim_bag *bag;
    struct sim_execution *execution; /* NULL: a driver's program */
    bool done;                       /* the last submit was */
};

static struct tri_ref *
submit(struct act *act, struct tri_submit *asked, bool wants)
{
    struct sim_world *world = act->process->world;
    struct tri_ref *ref = NULL;
    trp_error error;

    asked->deadline_ns = TRI_NEVER;
    if (wants && sim_chance(world, 8))
        asked->deadline_ns = world->now_ns + 100000 + sim_random(world, 20000000);
    if (act->execution != NULL && tri_id_equal(act->execution->id, act->execution->call->route->result))
        asked->parent = act->execution->id;
    act->done = tri_proc_submit(act->process->proc, asked, sim_chance(world, 3), world->now_ns, wants ? &ref : NULL,
                                NULL, &error) == TRP_OK;
    if (!act->done && error.code != TRP_EAGAIN)
        sim_fail(world, "submit: %s", error.message);
    return ref;
}

/* The lane's numbers are counted here, too, so that one-way calls have a name. */
static void
note_call(struct act *act, struct tri_ref *ref, const struct tri_submit *asked)
{
    struct sim_world *world = act->process->world;
    uint64_t caller = tri_proc_space(act->process->proc), sequence = 0;
    struct sim_record *record;

    if (!act->done)
        return;
    if ((asked->flags & TRI_TASK) == 0) {
        struct tri_id id = sim_one_way_id(caller, asked->target, 0);
        record = sim_record_find(world, id);
        if (record == NULL)
            record = sim_record_add(world, id);
        sequence = ++record->sequence;
    }
    record = sim_record_add(world, ref != NULL ? ref->entry.id : sim_one_way_id(caller, asked->target, sequence));
    record->target = asked->target;
    record->task = (asked->flags & TRI_TASK) != 0;
    record->no_retry = (asked->flags & TRI_NO_RETRY) != 0;
    record->one_way = ref == NULL;
    record->caller = caller;
}

static void
act_call(struct act *act)
{
    struct sim_world *world = act->process->world;
    struct tri_ref *actor = pick(act->process, act->bag, true), *ref;
    struct tri_ref_entry entries[4];
    struct tri_submit asked = {.kind = TRI_CALL};

    if (actor == NULL)
        return;
    asked.target = actor->entry.id;
    asked.priority = (int8_t)((int)sim_random(world, 5) - 2);
    sim_section_of(act->process, &world->call, act->bag, (uint32_t)sim_random(world, 4), true, entries, &asked.body);
    ref = submit(act, &asked, !sim_chance(world, 15));
    note_call(act, ref, &asked);
    if (sim_chance(world, 4)) /* it was called for the last time */
        remove_all(act->bag, actor);
    if (ref != NULL)
        sim_bag_add(act->process, act->bag, ref);
}

static void
act_task(struct act *act)
{
    struct sim_world *world = act->process->world;
    struct tri_ref_entry entries[4];
    struct tri_submit asked = {.kind = TRI_CALL, .flags = TRI_TASK};
    struct tri_ref *ref;

    sim_section_of(act->process, &world->task[sim_chance(world, 75) ? 0 : sim_random(world, SIM_TASKS)], act->bag,
                   (uint32_t)sim_random(world, 4), true, entries, &asked.body);
    if (sim_chance(world, 10))
        asked.flags |= TRI_NO_RETRY;
    ref = submit(act, &asked, true);
    note_call(act, ref, &asked);
    if (ref != NULL)
        sim_bag_add(act->process, act->bag, ref);
}

/* Its writing is over. Often that is not said. */
static void
seal_one(struct sim_process *process, bool always)
{
    struct sim_world *world = process->world;
    struct tri_ref *ref = process->open.vars[sim_random(world, process->open.count)];
    char id[TRI_ID_TEXT_SIZE];
    trp_error error;

    if (always || !sim_chance(world, 20)) {
        if (tri_proc_seal(process->proc, ref, &error) != TRP_OK)
            sim_fail(world, "seal: %s", error.message);
    } else {
        struct sim_record *record = sim_record_add(world, ref->entry.id);
        record->endless = record->gone = true; /* no call */
        (void)TRI_FAIL(&error, TRP_EOBJLOST, "object %s is lost: its maker gave it up",
                       tri_id_format(ref->entry.id, id));
        tri_proc_give_up(process->proc, ref, &error);
    }
    remove_all(&process->open, ref);
}

void
sim_program_seal_all(struct sim_process *process)
{
    while (process->open.count > 0)
        seal_one(process, true);
}

/* A value that is still to be written: its name may be everywhere before that. */
static void
act_open(struct act *act)
{
    struct sim_world *world = act->process->world;
    const struct tri_section *value = &world->value.section;
    struct tri_ref_entry entries[4];
    struct tri_packed packed = {0};
    struct tri_buf *buf = tri_buf_copy(value->data, (size_t)value->size);
    struct tri_ref *ref = NULL;
    trp_error error;

    sim_section_of(act->process, &world->value, act->bag, (uint32_t)sim_random(world, 3), false, entries,
                   &packed.section);
    packed.section.data = buf->data;
    packed.section.frame = buf;
    if (tri_proc_begin(act->process->proc, &packed, &ref, &error) != TRP_OK) {
        sim_fail(world, "begin: %s", error.message);
    } else {
        tri_proc_retain(ref);
        act->process->open.vars[act->process->open.count++] = ref;
        sim_bag_add(act->process, act->bag, ref);
    }
    tri_buf_release(&buf);
}

static void
act_put(struct act *act)
{
    if (act->process->open.count < SIM_VARS && sim_chance(act->process->world, 12)) {
        act_open(act);
        return;
    }
    struct sim_world *world = act->process->world;
    struct tri_ref_entry entries[4];
    const struct tri_packed *base = sim_chance(world, 90) ? &world->value : &world->large;
    struct tri_packed packed = *base;
    struct tri_buf *stored = sim_arena_make(act->process);
    struct tri_ref *ref = NULL;
    trp_error error;

    sim_section_of(act->process, base, act->bag, (uint32_t)sim_random(world, 3), false, entries, &packed.section);
    if (stored != NULL) {
        packed.section.data = NULL;
        packed.section.size = stored->size;
        packed.section.meta_size = 64;
        packed.section.frame = stored;
    }
    if (tri_proc_put(act->process->proc, &packed, &ref, &error) != TRP_OK)
        sim_fail(world, "put: %s", error.message);
    else
        sim_bag_add(act->process, act->bag, ref);
    if (stored != NULL)
        tri_buf_release(&stored);
}

static void
act_spawn(struct act *act)
{
    struct sim_world *world = act->process->world;
    uint32_t which = (uint32_t)sim_random(world, sim_chance(world, 60) ? 3 : 3 + 3 * SIM_NAMES);
    struct tri_ref_entry entries[4];
    struct tri_submit asked = {.kind = TRI_SPAWN};
    struct tri_ref *actor = NULL, *ref;
    trp_error error;

    if (tri_proc_actor_new(act->process->proc, &actor, &error) != TRP_OK) {
        sim_fail(world, "actor: %s", error.message);
        return;
    }
    asked.target = actor->entry.id;
    sim_section_of(act->process, &world->spawn[which], act->bag, (uint32_t)sim_random(world, 3), true, entries,
                   &asked.body);
    ref = submit(act, &asked, which >= 3 || sim_chance(world, 30));
    if (ref != NULL)
        sim_bag_add(act->process, act->bag, ref);
    if (!act->done)
        tri_proc_release(actor); /* there was no credit */
    else
        sim_bag_add(act->process, act->bag, actor);
}

static void
act_request(struct act *act)
{
    struct sim_world *world = act->process->world;
    struct tri_ref *actor = pick(act->process, act->bag, true), *ref;
    struct tri_submit asked = {.kind = TRI_LOOKUP};
    bool drains = false;

    if (actor == NULL || sim_chance(world, 40)) {
        asked.body = world->name[sim_random(world, SIM_NAMES)].section;
    } else if (!sim_chance(world, world->mix.kills)) {
        asked.kind = TRI_WATCH;
        asked.target = actor->entry.id;
        asked.body = world->watch[sim_random(world, 2)].section;
    } else {
        asked.kind = TRI_KILL;
        asked.target = actor->entry.id;
        drains = sim_chance(world, 40);
        asked.body = world->kill[drains].section;
    }
    ref = submit(act, &asked, true);
    if (ref == NULL)
        return;
    if (asked.kind == TRI_WATCH) {
        ((struct sim_ref *)(void *)ref)->endless = true;
        sim_record_add(world, ref->entry.id)->endless = true;
    }
    sim_bag_add(act->process, act->bag, ref);
    if (asked.kind == TRI_KILL) {
        struct sim_record *record = sim_record_find(world, asked.target);
        if (record == NULL)
            record = sim_record_add(world, asked.target);
        record->endless = record->kill_asked = true;
        record = sim_record_add(world, ref->entry.id);
        record->kills = asked.target;
        record->drain_ns = drains ? SIM_DRAIN_MS * TRI_NS_PER_MS : 0;
    }
}

/* Asks for it; many a program then waits until it comes. */
static void
want(struct sim_process *process, struct tri_ref *ref)
{
    trp_error error;

    if (tri_proc_want(process->proc, ref, &error) != TRP_OK)
        sim_fail(process->world, "want: %s", error.message);
    if (ref->state != TRI_REF_PENDING || ((struct sim_ref *)(void *)ref)->endless ||
        process->awaited.count == SIM_VARS || !sim_chance(process->world, 80))
        return;
    tri_proc_retain(ref);
    process->awaited.vars[process->awaited.count++] = ref;
}

/* Looks at a value, or waits for it: a driver without standing still. */
static void
act_get(struct act *act)
{
    struct sim_execution *execution = act->execution;
    struct tri_ref *ref = pick(act->process, act->bag, false);
    struct tri_id ids[3];
    trp_error error;

    if (ref == NULL)
        return;
    if (ref->state != TRI_REF_PENDING) {
        tri_proc_retain(ref); /* the bag may drop it meanwhile */
        if (ref->state == TRI_REF_READY)
            sim_arena_read(act->process, ref);
        sim_bag_take(act->process, act->bag, tri_ref_value(ref));
        tri_proc_release(ref);
        return;
    }
    want(act->process, ref);
    if (execution == NULL || ((struct sim_ref *)(void *)ref)->endless ||
        !tri_id_equal(execution->id, execution->call->route->result))
        return;
    execution->any = sim_chance(act->process->world, 30);
    execution->blocked = true;
    do {
        tri_proc_retain(ref);
        ids[execution->wait_count] = ref->entry.id;
        execution->waits[execution->wait_count++] = ref;
        ref = pick(act->process, act->bag, false);
        if (ref->state != TRI_REF_PENDING || ((struct sim_ref *)(void *)ref)->endless ||
            tri_proc_want(act->process->proc, ref, &error) != TRP_OK)
            break;
    } while (execution->wait_count < 3 && sim_chance(act->process->world, 40));
    sim_trace(act->process->world, "host %d: %llx:%llu waits for %u", act->process->pid,
              (unsigned long long)execution->id.space, (unsigned long long)execution->id.number, execution->wait_count);
    tri_proc_blocked(act->process->proc, execution->id, ids, execution->wait_count, execution->any);
}

static void
act_release(struct act *act)
{
    if (act->bag->count > 0)
        remove_at(act->bag, (uint32_t)sim_random(act->process->world, act->bag->count));
}

/* Gives a result away and lets go of it, then or when its next packet comes: it comes back in what an actor returns, or does
 * not. */
static struct tri_ref *
give(struct act *act, const struct tri_ref *actor, const struct tri_ref *lent)
{
    struct tri_submit asked = {.kind = TRI_CALL};
    struct tri_ref_entry entry;
    struct tri_ref *ref;

    if (actor == NULL || lent == NULL || ((const struct sim_ref *)(const void *)lent)->endless)
        return NULL;
    entry = (struct tri_ref_entry){.id = lent->entry.id, .place = TRI_NESTED};
    asked.target = actor->entry.id;
    asked.body = act->process->world->call.section;
    asked.body.refs = &entry;
    asked.body.ref_count = 1;
    ref = submit(act, &asked, true);
    note_call(act, ref, &asked);
    return ref;
}

static void
act_lend(struct act *act)
{
    struct tri_ref *newest = act->bag->count == 0 ? NULL : act->bag->vars[act->bag->count - 1];
    struct tri_ref *lent = pick(act->process, act->bag, false), *ref;

    if (newest != NULL && !newest->is_actor && sim_chance(act->process->world, 40))
        lent = newest;
    ref = give(act, pick(act->process, act->bag, true), lent);
    if (ref == NULL)
        return;
    if (sim_chance(act->process->world, 50))
        remove_all(act->bag, lent);
    else
        ((struct sim_ref *)(void *)ref)->lent = lent->entry.id;
    ((struct sim_ref *)(void *)ref)->eager = sim_chance(act->process->world, 70);
    sim_bag_add(act->process, act->bag, ref);
}

/* Best when it crosses with what comes back. */
static bool
lets_go(struct sim_world *world, const struct sim_ref *carrier)
{
    const struct sim_record *record = sim_record_find(world, carrier->ref.entry.id);

    return carrier->ref.out == NULL && sim_chance(world, record != NULL && record->returned ? 60 : world->mix.let_go);
}

void
sim_program_before(struct sim_process *process, struct sim_bag *bag)
{
    for (uint32_t i = bag->count; i-- > 0;) {
        struct sim_ref *carrier = i < bag->count ? (struct sim_ref *)(void *)bag->vars[i] : NULL;
        struct tri_ref *lent;
        if (carrier == NULL || tri_id_is_none(carrier->lent) || !lets_go(process->world, carrier))
            continue;
        lent = tri_proc_find(process->proc, carrier->lent);
        carrier->lent = (struct tri_id){0};
        if (lent == NULL)
            continue;
        remove_all(bag, lent);
        tri_proc_release(lent);
    }
}

/* Whose call failed looks for another actor. */
static void
turn_away(struct sim_process *process, struct sim_bag *bag, const struct tri_ref *failed)
{
    const struct sim_record *record = sim_record_find(process->world, failed->entry.id);
    struct tri_ref *actor = record == NULL ? NULL : tri_proc_find(process->proc, record->target);

    if (actor == NULL)
        return;
    remove_all(bag, actor);
    tri_proc_release(actor);
}

void
sim_program_after(struct sim_process *process, struct sim_bag *bag)
{
    if (process->open.count > 0 && sim_chance(process->world, 20))
        seal_one(process, false);
    for (uint32_t i = process->awaited.count; i-- > 0;)
        if (process->awaited.vars[i]->state != TRI_REF_PENDING)
            remove_at(&process->awaited, i);
    for (uint32_t i = 0; i < bag->count; i++) {
        struct sim_ref *carrier = (struct sim_ref *)(void *)bag->vars[i];
        const struct tri_section *value = tri_ref_value(&carrier->ref);
        if (!carrier->eager || carrier->ref.state == TRI_REF_PENDING)
            continue;
        carrier->eager = false;
        tri_proc_retain(&carrier->ref); /* the bag may drop it meanwhile */
        if (carrier->ref.state == TRI_REF_FAILED && sim_chance(process->world, 60))
            turn_away(process, bag, &carrier->ref);
        for (uint32_t k = 0; k < value->ref_count; k++) {
            struct tri_ref *ref = tri_proc_find(process->proc, value->refs[k].id);
            if (ref == NULL)
                continue;
            if (!ref->is_actor)
                want(process, ref);
            sim_bag_add(process, bag, ref);
        }
        tri_proc_release(&carrier->ref);
    }
}

void
sim_program_leave(struct sim_process *process)
{
    if (tri_proc_space(process->proc) == 0)
        return;
    process->leaving = true;
    sim_program_seal_all(process);
    for (uint32_t i = process->bag.count; i-- > 0;)
        if (((struct sim_ref *)(void *)process->bag.vars[i])->endless)
            remove_at(&process->bag, i);
}

/* An actor that does not end with it, if it knows one. */
static struct tri_ref *
heir(const struct act *act)
{
    struct tri_ref *actor = pick(act->process, act->bag, true);

    for (int i = 0; i < 4 && actor != NULL && actor->entry.id.space == tri_proc_space(act->process->proc); i++)
        actor = pick(act->process, act->bag, true);
    return actor;
}

/* Hands on what it has, and what it has only just asked for. */
static void
bequeath(struct sim_process *process)
{
    struct act act = {.process = process, .bag = &process->bag};
    const uint32_t count = 2 + (uint32_t)sim_random(process->world, 3);
    struct tri_ref *ref;

    process->bequeathed = true;
    for (uint32_t i = 0; i < count; i++) {
        if (sim_chance(process->world, 50))
            act_call(&act);
        ref = give(&act, heir(&act), pick(process, act.bag, false));
        if (ref == NULL)
            continue;
        sim_record_find(process->world, ref->entry.id)->bequest = true;
        sim_bag_add(process, act.bag, ref);
    }
    if (sim_chance(process->world, 80))
        sim_bag_clear(act.bag);
}

void
sim_program_inherit(struct sim_process *host, const struct tri_incoming *call)
{
    const struct sim_record *record = sim_record_find(host->world, call->entry.id);
    trp_error error;

    for (uint32_t i = 0; record != NULL && record->bequest && i < call->sections[0].ref_count; i++) {
        struct tri_ref *ref = tri_proc_find(host->proc, call->sections[0].refs[i].id);
        if (ref == NULL)
            continue;
        if (sim_chance(host->world, 80) && tri_proc_want(host->proc, ref, &error) != TRP_OK)
            sim_fail(host->world, "want: %s", error.message);
        sim_bag_add(host, &host->kept, ref);
    }
}

/* What it has published is no call. */
static void
count_published(void *user, const struct tri_ref *ref)
{
    *(uint64_t *)user += ref->out != NULL && !ref->is_actor && ref->state != TRI_REF_PENDING && !ref->own_call;
}

bool
sim_program_may_go(struct sim_process *process)
{
    struct tri_proc_counts counts;
    uint64_t published = 0;

    if (!process->leaving || process->parts || process->is_host || !process->up)
        return false;
    tri_proc_count(process->proc, &counts);
    tri_proc_each(process->proc, count_published, &published);
    if (counts.queued > 0 || counts.outstanding != published)
        return false;
    if (process->bequeathed)
        return true;
    bequeath(process);
    return false;
}

/* An actor keeps what it was given for a later call, or takes it up again. */
static void
act_keep(struct act *act)
{
    struct sim_bag *kept = &act->process->kept;
    struct sim_world *world = act->process->world;
    struct tri_ref *ref;

    if (act->execution == NULL || !act->process->has_actor) {
        act_lend(act);
    } else if (kept->count > 0 && sim_chance(world, 50)) {
        uint32_t i = (uint32_t)sim_random(world, kept->count);
        tri_proc_retain(kept->vars[i]);
        sim_bag_add(act->process, act->bag, kept->vars[i]);
        if (sim_chance(world, 50))
            remove_at(kept, i);
    } else if ((ref = pick(act->process, act->bag, false)) != NULL) {
        tri_proc_retain(ref);
        sim_bag_add(act->process, kept, ref);
    }
}

/* Of a call of its own, or of one whose result it was given. */
static void
act_cancel(struct act *act)
{
    struct sim_world *world = act->process->world;
    struct tri_ref *ref = pick(act->process, act->bag, false);
    struct sim_record *record;
    trp_error error;

    if (ref == NULL || ref->state != TRI_REF_PENDING)
        return;
    record = sim_record_find(world, ref->entry.id);
    if (record != NULL && ref->entry.id.space == tri_proc_space(act->process->proc))
        sim_record_cancelled(world, record);
    sim_trace(world, "process %d cancels %llx:%llu", act->process->pid, (unsigned long long)ref->entry.id.space,
              (unsigned long long)ref->entry.id.number);
    if (tri_proc_cancel(act->process->proc, ref, world->now_ns, &error) != TRP_OK)
        sim_fail(world, "cancel: %s", error.message);
}

void
sim_program_step(struct sim_process *process, struct sim_bag *bag, struct sim_execution *execution)
{
    static void (*const acts[SIM_ACTS])(struct act * act) = {act_call,    act_task,    act_put,  act_spawn, act_get,
                                                             act_request, act_release, act_keep, act_cancel};
    struct sim_world *world = process->world;
    struct act act = {.process = process, .bag = bag, .execution = execution};

    if (!world->draining)
        acts[sim_draw(world, world->mix.acts, SIM_ACTS)](&act);
    else if (sim_chance(world, 50))
        act_release(&act);
    else
        act_get(&act);
}
