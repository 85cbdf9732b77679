/*
 * arena.c - a simulated node's arena: its shared parts as plain memory that outlives brokers, a disk that answers when the seed
 * says so, and what processes do there: leases, pins, values that they make and read in place. Every granule has a tag, so that
 * whoever reads an object sees whether it is that one.
 */
#include "tests/sim/sim.h"

enum { SIM_GRANULES = 160, SIM_READS = 256, SIM_COPIES = 2048, SIM_AWAITED = 2 * SIM_PROCESSES };

struct copy {
    struct tri_id id;
    uint64_t size, tag;
    bool claimed;
};

struct sim_arena {
    struct tri_arena arena;
    uint64_t tags[SIM_GRANULES];
    struct tri_spill_piece batch[SIM_GRANULES], reads[SIM_READS];
    uint32_t batch_count, read_count, copy_count, awaited_count;
    struct copy copies[SIM_COPIES];
    struct {
        uint64_t space;
        int32_t pid;
    } awaited[SIM_AWAITED];
};

struct value {
    struct tri_buf buf; /* first */
    struct tri_place place;
    struct sim_process *maker; /* NULL: it came from elsewhere */
    int32_t pid;               /* the maker's */
};

static uint32_t
granules_of(uint64_t size)
{
    return (uint32_t)((size + TRI_GRANULE - 1) / TRI_GRANULE);
}

/* No two objects have the same. */
static uint64_t
tag_of(uint32_t slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | (slot + 1);
}

static bool
lies_there(const struct sim_arena *arena, const struct tri_place *place, uint32_t start)
{
    for (uint32_t i = 0; i < granules_of(place->size); i++)
        if (arena->tags[start + i] != tag_of(place->slot, place->generation))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ the disk */

static struct copy *
find_copy(struct sim_arena *arena, struct tri_id id)
{
    for (uint32_t i = 0; i < arena->copy_count; i++)
        if (tri_id_equal(arena->copies[i].id, id))
            return &arena->copies[i];
    return NULL;
}

static bool
on_spill(void *user, const struct tri_spill_piece *pieces, uint32_t count)
{
    struct sim_world *world = user;
    struct sim_arena *arena = world->arena;

    if (arena->batch_count > 0 || count == 0 || count > SIM_GRANULES)
        sim_fail(world, "%u objects are to be spilled while %u are", count, arena->batch_count);
    memcpy(arena->batch, pieces, count * sizeof *pieces);
    arena->batch_count = count;
    sim_trace(world, "  %u objects are to be spilled", count);
    return true;
}

static bool
on_restore(void *user, const struct tri_spill_piece *piece)
{
    struct sim_world *world = user;

    if (world->arena->read_count == SIM_READS)
        return false;
    world->arena->reads[world->arena->read_count++] = *piece;
    return true;
}

static void
on_drop(void *user, struct tri_id id)
{
    struct sim_world *world = user;
    struct copy *copy = find_copy(world->arena, id);

    if (copy == NULL)
        sim_fail(world, "the copy of slot %u is dropped, and there is none", tri_spilled_slot(id));
    else
        *copy = world->arena->copies[--world->arena->copy_count];
}

static void
on_claim(void *user, struct tri_id id, uint64_t size, const struct tri_file_place *place)
{
    struct sim_world *world = user;
    struct copy *copy = find_copy(world->arena, id);

    if (copy == NULL || copy->size != size || place->stored_size != size)
        sim_fail(world, "the register says that slot %u is spilled, and it is not there", tri_spilled_slot(id));
    else
        copy->claimed = true;
}

static struct tri_spill_files
on_files(void *user)
{
    return (struct tri_spill_files){.files = ((struct sim_world *)user)->arena->copy_count};
}

static void
write_batch(struct sim_world *world)
{
    struct sim_arena *arena = world->arena;
    struct tri_register reg;

    tri_register_at(&reg, arena->arena.reg, SIM_GRANULES);
    for (uint32_t i = 0; i < arena->batch_count; i++) {
        const struct tri_spill_piece *piece = &arena->batch[i];
        const struct tri_file_place file = {1, i, piece->size};
        const struct tri_place place = {
            .slot = tri_spilled_slot(piece->id), .generation = tri_spilled_generation(piece->id), .size = piece->size};
        if (!lies_there(arena, &place, piece->start) || find_copy(arena, piece->id) != NULL ||
            arena->copy_count == SIM_COPIES) {
            sim_fail(world, "slot %u is spilled from where it does not lie, or twice", place.slot);
            return;
        }
        arena->copies[arena->copy_count++] =
            (struct copy){.id = piece->id, .size = piece->size, .tag = tag_of(place.slot, place.generation)};
        tri_record_file(&reg.records[place.slot], &file);
    }
}

static void
finish_batch(struct sim_world *world)
{
    struct sim_arena *arena = world->arena;
    const bool fails = sim_chance(world, 15);
    trp_error error;

    (void)TRI_FAIL(&error, TRP_EDISKFULL, "the disk is full");
    if (!fails)
        write_batch(world);
    arena->batch_count = 0;
    sim_trace(world, "a batch is written%s", fails ? ", or rather not" : "");
    tri_core_spilled(world->core, fails ? TRP_EDISKFULL : TRP_OK, &error, world->now_ns);
}

static void
finish_read(struct sim_world *world)
{
    struct sim_arena *arena = world->arena;
    const struct tri_spill_piece piece = arena->reads[0];
    const struct copy *copy = find_copy(arena, piece.id);
    const bool fails = sim_chance(world, 5);
    struct tri_id next = {0, 0};
    trp_error error;

    memmove(arena->reads, arena->reads + 1, --arena->read_count * sizeof *arena->reads);
    (void)TRI_FAIL(&error, TRP_ENOMEM, "no memory to read it");
    if (copy == NULL) {
        sim_fail(world, "slot %u is to be read, and has no copy", tri_spilled_slot(piece.id));
        return;
    }
    if (copy + 1 < arena->copies + arena->copy_count)
        next = copy[1].id;
    for (uint32_t i = 0; !fails && i < granules_of(piece.size); i++)
        arena->tags[piece.start + i] = copy->tag;
    sim_trace(world, "slot %u is read%s", tri_spilled_slot(piece.id), fails ? ", or rather not" : "");
    tri_core_restored(world->core, piece.id, fails ? TRP_ENOMEM : TRP_OK, &error, next, world->now_ns);
}

/* -------------------------------------------------------------------------------------------------------- for brokers */

static trp_err
on_back(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size, trp_error *error)
{
    (void)user, (void)part, (void)offset, (void)size, (void)error;
    return TRP_OK;
}

static void
on_unback(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size)
{
    if (part == TRI_PART_PINS)
        memset(((struct sim_world *)user)->arena->arena.pins + offset, 0, size);
}

static void
on_await_end(void *user, uint64_t space, int32_t pid)
{
    struct sim_arena *arena = ((struct sim_world *)user)->arena;

    if (arena->awaited_count == SIM_AWAITED) {
        sim_fail(user, "more than %d ends are awaited", SIM_AWAITED);
        return;
    }
    arena->awaited[arena->awaited_count].space = space;
    arena->awaited[arena->awaited_count++].pid = pid;
}

void
sim_arena_open(struct sim_world *world)
{
    struct sim_arena *arena;

    if (world->options.seed % 3 != 1) /* drawn of nothing: the others stay what they were */
        return;
    arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        abort();
    world->arena = arena;
    arena->arena = (struct tri_arena){.granules = SIM_GRANULES,
                                      .slots = 1024,
                                      .back = on_back,
                                      .unback = on_unback,
                                      .await_end = on_await_end,
                                      .user = world,
                                      .spiller = {on_spill, on_restore, on_drop, on_claim, on_files, world}};
    arena->arena.words = calloc(arena->arena.slots, sizeof(tri_slot_word));
    arena->arena.pins = calloc(TRI_TENANTS_MAX, TRI_PIN_TABLE_BYTES);
    arena->arena.reg = calloc(1, tri_part_bytes(TRI_PART_REGISTER, SIM_GRANULES, arena->arena.slots));
    if (arena->arena.words == NULL || arena->arena.pins == NULL || arena->arena.reg == NULL)
        abort();
}

void
sim_arena_close(struct sim_world *world)
{
    if (world->arena == NULL)
        return;
    free(world->arena->arena.words);
    free(world->arena->arena.pins);
    free(world->arena->arena.reg);
    free(world->arena);
    world->arena = NULL;
}

void
sim_arena_begin(struct sim_world *world, struct tri_arena *arena)
{
    if (world->arena == NULL)
        return;
    world->arena->awaited_count = 0;
    for (uint32_t i = 0; i < world->arena->copy_count; i++)
        world->arena->copies[i].claimed = false;
    *arena = world->arena->arena;
    arena->fresh = world->incarnation == 1;
}

/* What no register names was being written when its broker died. */
void
sim_arena_begun(struct sim_world *world)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; world->arena != NULL && i < world->arena->copy_count; i++)
        if (world->arena->copies[i].claimed)
            world->arena->copies[kept++] = world->arena->copies[i];
    if (world->arena != NULL)
        world->arena->copy_count = kept;
}

/* With some luck what was being written is written, and nobody hears of it. */
void
sim_arena_broker_died(struct sim_world *world)
{
    if (world->arena == NULL)
        return;
    if (world->arena->batch_count > 0 && sim_chance(world, 50))
        write_batch(world);
    world->arena->batch_count = world->arena->read_count = 0;
}

static bool
lives(const struct sim_world *world, int32_t pid)
{
    for (uint32_t i = 0; i < world->process_top; i++)
        if (world->processes[i].used && world->processes[i].alive && world->processes[i].pid == pid)
            return true;
    return false;
}

bool
sim_arena_turn(struct sim_world *world, bool all)
{
    struct sim_arena *arena = world->arena;
    uint32_t kept = 0, count = arena != NULL ? arena->awaited_count : 0;
    bool any = false;

    for (uint32_t i = 0; i < count; i++) {
        if (lives(world, arena->awaited[i].pid)) {
            arena->awaited[kept++] = arena->awaited[i];
            continue;
        }
        tri_core_space_ended(world->core, arena->awaited[i].space, world->now_ns);
        any = true;
    }
    for (uint32_t i = count; arena != NULL && i < arena->awaited_count; i++)
        arena->awaited[kept++] = arena->awaited[i];
    if (arena == NULL)
        return false;
    arena->awaited_count = kept;
    if (arena->batch_count > 0 && (all || sim_chance(world, 30))) {
        finish_batch(world);
        any = true;
    }
    if (arena->read_count > 0 && (all || sim_chance(world, 30))) {
        finish_read(world);
        any = true;
    }
    return any;
}

/* ------------------------------------------------------------------------------------------------------ for processes */

static struct tri_pin_table *
table_of(const struct sim_process *process)
{
    uint8_t *pins = process->world->arena->arena.pins;

    return (struct tri_pin_table *)(void *)(pins + process->store.table * TRI_PIN_TABLE_BYTES);
}

static bool
pin(struct sim_process *process, const struct tri_place *place, const void *owner, bool is_made)
{
    struct tri_pin_table *table = table_of(process);
    struct sim_pin *free_pin = NULL;
    uint32_t i;

    for (i = 0; i < SIM_PINS && free_pin == NULL; i++)
        free_pin = process->store.pins[i].used ? NULL : &process->store.pins[i];
    if (free_pin == NULL)
        return false;
    *free_pin = (struct sim_pin){.used = true, .is_made = is_made, .owner = owner, .place = *place};
    table->entries[i - 1] = (uint64_t)(place->slot + 1) << 32 | place->generation;
    table->used = SIM_PINS;
    return true;
}

static void
unpin(struct sim_process *process, uint32_t i)
{
    table_of(process)->entries[i] = 0;
    process->store.pins[i].used = false;
}

void
sim_arena_let_go(struct sim_process *process, const void *owner)
{
    for (uint32_t i = 0; process->store.has && i < SIM_PINS; i++)
        if (process->store.pins[i].used && process->store.pins[i].owner == owner)
            unpin(process, i);
}

/* The first pin of what it made, until the broker has seen that. */
static void
settle(struct sim_process *process)
{
    tri_slot_word *words = process->world->arena->arena.words;

    for (uint32_t i = 0; i < SIM_PINS; i++) {
        const struct sim_pin *made = &process->store.pins[i];
        if (made->used && made->is_made && tri_slot_generation(&words[made->place.slot]) == made->place.generation &&
            tri_slot_state(&words[made->place.slot]) != TRI_SLOT_ABSENT)
            unpin(process, i);
    }
}

/* Its room is its maker's again, should nobody have heard of it. */
static void
free_value(struct tri_buf *buf)
{
    struct value *value = (struct value *)(void *)buf;
    struct sim_process *maker = value->maker;

    if (maker != NULL && maker->alive && maker->pid == value->pid && maker->store.unused_count < SIM_PINS)
        maker->store.unused[maker->store.unused_count++] = value->place;
    free(value);
}

static struct tri_buf *
value_new(const struct tri_place *place, struct sim_process *maker)
{
    struct value *value = calloc(1, sizeof *value);

    if (value == NULL)
        abort();
    value->place = *place;
    value->maker = maker;
    value->pid = maker != NULL ? maker->pid : 0;
    value->buf = (struct tri_buf){.references = 1, .size = place->size, .place = &value->place, .free = free_value};
    return &value->buf;
}

static trp_err
on_place(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    (void)user, (void)error;
    *buf = value_new(place, NULL);
    return TRP_OK;
}

static void
post(struct sim_process *process, const struct tri_route *route, const struct tri_section *section)
{
    trp_error error;

    if (tri_channel_post(&process->channel, route, section, section != NULL, NULL, &error) != TRP_OK)
        sim_fail(process->world, "post: %s", error.message);
}

static void
ask(struct sim_process *process)
{
    post(process, &(struct tri_route){.kind = TRI_SPACE, .sequence = process->store.asked}, NULL);
}

void
sim_arena_welcome(struct sim_process *process, const struct tri_welcome *welcome)
{
    if (process->world->arena == NULL)
        return;
    if (process->store.has && process->store.table != welcome->pins)
        sim_fail(process->world, "process %d has another table of pins", process->pid);
    process->store.has = true;
    process->store.table = welcome->pins;
    process->store.places = (struct tri_places){on_place, process};
    process->channel.places = &process->store.places;
    if (process->store.asked > 0 && welcome->snapshot)
        ask(process);
}

/* What it had goes back; the slots, too. */
static void
give_all(struct sim_process *process, uint16_t flags)
{
    struct sim_store *store = &process->store;
    const struct tri_lease rest = {store->start, store->count, store->slots, store->slot_count};
    struct tri_packed packed = {0};

    if (tri_lease_pack(&packed, &rest, NULL) != TRP_OK)
        abort();
    post(process, &(struct tri_route){.kind = TRI_GIVEN, .flags = flags}, &packed.section);
    tri_packed_fini(&packed);
    store->count = store->slot_count = 0;
}

static void
give_back(struct sim_process *process)
{
    if (process->store.count > 0 || process->store.slot_count > 0)
        give_all(process, 0);
}

trp_err
sim_arena_revoke(struct sim_process *process)
{
    give_all(process, TRI_LAST);
    return TRP_OK;
}

/* Of what it let go of before anybody had heard of it: a place that is pinned by its maker still. */
void
sim_arena_give(struct sim_process *process)
{
    struct sim_store *store = &process->store;

    if (process->world->arena == NULL || !store->has || process->parts || !process->up)
        return;
    settle(process);
    while (store->unused_count > 0) {
        const struct tri_place *place = &store->unused[--store->unused_count];
        uint32_t slot = place->slot;
        const struct tri_lease lease = {place->start, granules_of(place->size), &slot, 1};
        struct tri_packed packed = {0};
        uint32_t i = 0;
        while (i < SIM_PINS && !(store->pins[i].used && store->pins[i].is_made && store->pins[i].place.slot == slot &&
                                 store->pins[i].place.generation == place->generation))
            i++;
        if (i == SIM_PINS)
            continue;
        unpin(process, i);
        if (tri_lease_pack(&packed, &lease, NULL) != TRP_OK)
            abort();
        post(process, &(struct tri_route){.kind = TRI_GIVEN}, &packed.section);
        tri_packed_fini(&packed);
    }
}

/* It makes nothing more, and looks at nothing for long: others may need the room. */
void
sim_arena_rest(struct sim_process *process)
{
    if (process->world->arena == NULL || !process->store.has || process->parts)
        return;
    settle(process);
    sim_arena_let_go(process, process);
    give_back(process);
}

trp_err
sim_arena_lease(struct sim_process *process, const struct tri_envelope *envelope, trp_error *error)
{
    struct sim_store *store = &process->store;
    struct tri_section section;
    struct tri_lease lease;

    tri_envelope_section(envelope, 0, &section);
    if (store->asked == 0)
        return TRI_FAIL(error, TRP_EPROTO, "LEASE that nobody asked for");
    store->asked = 0;
    if ((envelope->route.flags & TRI_FAILED) != 0)
        return TRP_OK;
    give_back(process);
    TRP_TRY(tri_lease_unpack(&section, &lease, error));
    store->start = lease.start;
    store->count = lease.count;
    store->slot_count = lease.slot_count;
    memcpy(store->slots, lease.slots, lease.slot_count * sizeof *lease.slots);
    for (uint32_t i = 0; i < lease.count; i++) /* whose it was is gone, or its tag was kept elsewhere */
        process->world->arena->tags[lease.start + i] = 0;
    return TRP_OK;
}

/* NULL: it has no room, and asks for some. */
struct tri_buf *
sim_arena_make(struct sim_process *process)
{
    struct sim_world *world = process->world;
    struct sim_store *store = &process->store;
    struct tri_place place;

    if (world->arena == NULL || !store->has || process->parts || world->draining || !sim_chance(world, 60))
        return NULL;
    settle(process);
    const uint32_t wanted = 2 + (uint32_t)sim_random(world, 8);
    if (store->count < wanted || store->slot_count == 0) {
        if (store->asked == 0 && process->up) {
            store->asked = wanted;
            ask(process);
        }
        return NULL;
    }
    place = (struct tri_place){.slot = store->slots[store->slot_count - 1],
                               .start = store->start,
                               .size = (uint64_t)wanted * TRI_GRANULE - sim_random(world, 4000)};
    place.generation = tri_slot_generation(&world->arena->arena.words[place.slot]);
    if (!pin(process, &place, store, true))
        return NULL;
    store->slot_count--;
    store->start += wanted;
    store->count -= wanted;
    for (uint32_t i = 0; i < wanted; i++)
        world->arena->tags[place.start + i] = tag_of(place.slot, place.generation);
    return value_new(&place, process);
}

static bool
is_made(const struct sim_process *process, const struct tri_place *place)
{
    for (uint32_t i = 0; i < SIM_PINS; i++)
        if (process->store.pins[i].used && process->store.pins[i].is_made &&
            process->store.pins[i].place.slot == place->slot &&
            process->store.pins[i].place.generation == place->generation)
            return true;
    return false;
}

/* Whether it is in the arena, where it must be that object. */
static bool
is_here(struct sim_process *process, const struct tri_place *place)
{
    struct sim_world *world = process->world;
    tri_slot_word *word = &world->arena->arena.words[place->slot];

    if (tri_slot_generation(word) != place->generation) {
        sim_fail(world, "process %d holds what lay in slot %u, and another object does now", process->pid, place->slot);
        return false;
    }
    if (is_made(process, place) && tri_slot_state(word) == TRI_SLOT_ABSENT)
        return true;
    if (tri_slot_state(word) != TRI_SLOT_RESIDENT)
        return false;
    if (!lies_there(world->arena, place, tri_slot_start(word)))
        sim_fail(world, "process %d reads something else than the object of slot %u", process->pid, place->slot);
    return true;
}

/* A value that somebody looks at; sometimes for a while. */
void
sim_arena_read(struct sim_process *process, struct tri_ref *ref)
{
    struct sim_world *world = process->world;
    const struct tri_place *place = tri_section_place(tri_ref_value(ref));
    trp_error error;

    if (place == NULL || process->parts)
        return;
    settle(process);
    sim_arena_let_go(process, sim_chance(world, 30) ? process : NULL);
    if (!is_here(process, place)) {
        sim_trace(world, "process %d does not find %llx:%llu in slot %u", process->pid,
                  (unsigned long long)ref->entry.id.space, (unsigned long long)ref->entry.id.number, place->slot);
        if (!world->failed && tri_proc_demand(process->proc, ref, TRI_NEVER, world->now_ns, &error) != TRP_OK)
            sim_fail(world, "demand: %s", error.message);
    } else if (!world->draining && tri_slot_state(&world->arena->arena.words[place->slot]) == TRI_SLOT_RESIDENT &&
               sim_chance(world, 30)) {
        (void)pin(process, place, process, false);
    }
}

trp_err
sim_arena_here(void *user, struct tri_ref *ref, const trp_error *why, trp_error *error)
{
    struct sim_process *process = user;

    (void)error;
    if (why == NULL && !is_here(process, tri_section_place(tri_ref_value(ref))))
        sim_fail(process->world, "HERE of what is not here");
    if (why != NULL && why->code != TRP_ESTOREFULL && why->code != TRP_EDISKFULL && why->code != TRP_ENOMEM &&
        why->code != TRP_EOBJLOST)
        sim_fail(process->world, "HERE says: %s", why->message);
    return TRP_OK;
}

/* The arguments of a call that has just come stay until that has ended. */
void
sim_arena_arguments(struct sim_process *host, const struct tri_incoming *call)
{
    for (uint32_t i = 0; i < call->section_count; i++) {
        const struct tri_place *place = tri_section_place(&call->sections[i]);
        if (place == NULL)
            continue;
        if (!is_here(host, place))
            sim_fail(host->world, "host %d got a call whose argument in slot %u is not there", host->pid, place->slot);
        (void)pin(host, place, call, false);
    }
}

/* What is pinned stays, and is what it was. */
void
sim_arena_check(struct sim_world *world)
{
    for (uint32_t i = 0; world->arena != NULL && i < world->process_top; i++) {
        struct sim_process *process = &world->processes[i];
        for (uint32_t k = 0; process->used && process->alive && process->store.has && k < SIM_PINS; k++) {
            const struct sim_pin *held = &process->store.pins[k];
            tri_slot_word *word = held->used ? &world->arena->arena.words[held->place.slot] : NULL;
            if (word == NULL || held->is_made)
                continue;
            if (tri_slot_generation(word) != held->place.generation || tri_slot_state(word) == TRI_SLOT_ABSENT ||
                !lies_there(world->arena, &held->place, tri_slot_start(word)))
                sim_fail(world, "process %d has slot %u pinned, and it is gone", process->pid, held->place.slot);
        }
    }
}

/* Nobody holds anything: nothing is on the disk. */
void
sim_arena_is_empty(struct sim_world *world)
{
    if (world->arena != NULL && world->arena->copy_count + world->arena->batch_count + world->arena->read_count > 0)
        sim_fail(world, "%u copies of objects are left on the disk", world->arena->copy_count);
}
