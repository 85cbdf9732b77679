/*
 * objects.c - a million live objects in the broker's core: what each costs in metadata, and how long it takes to release them
 * all. Once the smallest that lie in the arena, once small ones that travel. One driver puts them and releases them, each by
 * itself; no arena is there (the broker does not read it), no socket, and nothing is spilled.
 *
 *     objects [COUNT]     1,000,000
 *
 * One thread. It ends with 1 if a bound of docs/benchmarks.md is missed.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/core/stage.h"

enum { MANY = 1000000, BYTES = 102500, RUNS = 32, ROUND = 64 };
static const double bytes_most = 200, seconds_most = 1;

struct stage {
    struct tri_arena arena;
    struct tri_core *core;
    tri_peer_index driver;
    struct tri_packed packed;
    uint64_t now_ns, packet, number;
    uint8_t *bytes; /* of an envelope */
    size_t capacity;
    struct tri_lease lease;
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    bool answered;
    trp_error refused;
};

static uint64_t
on_send(void *user, tri_peer_index peer, const struct tri_route *route, const struct tri_section *sections,
        uint32_t count, bool credited)
{
    struct stage *stage = user;
    (void)peer, (void)credited;
    if (route->kind == TRI_LEASE && count == 1 && (route->flags & TRI_FAILED) == 0 &&
        tri_lease_unpack(&sections[0], &stage->lease, &stage->refused) == TRP_OK) {
        memcpy(stage->slots, stage->lease.slots, stage->lease.slot_count * sizeof *stage->slots);
        stage->answered = true;
    }
    return ++stage->packet;
}

static trp_err
on_back(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size, trp_error *error)
{
    (void)user, (void)part, (void)offset, (void)size, (void)error;
    return TRP_OK;
}

static void
on_unback(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size)
{
    (void)user, (void)part, (void)offset, (void)size;
}

static void
on_await_end(void *user, uint64_t space, int32_t pid)
{
    (void)user, (void)space, (void)pid;
}

static void *
reserve(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static uint64_t
pages_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return (uint64_t)resident * 4096;
}

static trp_err
open_stage(struct stage *stage, uint32_t objects, trp_error *error)
{
    const uint32_t granules = objects * (TRI_OBJECT_GRANULES + 2) + 16 * TRI_EXTENT_GRANULES;
    *stage = (struct stage){.now_ns = TRI_NS_PER_S};
    stage->arena = (struct tri_arena){.granules = granules,
                                      .slots = TRI_SLOTS_MAX,
                                      .fresh = true,
                                      .back = on_back,
                                      .unback = on_unback,
                                      .await_end = on_await_end,
                                      .user = stage,
                                      .spill_at = 100};
    stage->arena.words = reserve(stage->arena.slots * sizeof(tri_slot_word));
    stage->arena.pins = reserve((uint64_t)TRI_TENANTS_MAX * TRI_PIN_TABLE_BYTES);
    stage->arena.reg = reserve(tri_part_bytes(TRI_PART_REGISTER, granules, stage->arena.slots));
    if (stage->arena.words == NULL || stage->arena.pins == NULL || stage->arena.reg == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory");
    TRP_TRY(tri_stage_core(on_send, stage, &stage->arena, stage->now_ns, &stage->core, error));
    return tri_stage_driver(stage->core, stage->now_ns, &stage->driver, error);
}

static void
close_stage(struct stage *stage)
{
    tri_core_destroy(&stage->core);
    tri_packed_fini(&stage->packed);
    free(stage->bytes);
    munmap(stage->arena.words, stage->arena.slots * sizeof(tri_slot_word));
    munmap(stage->arena.pins, (uint64_t)TRI_TENANTS_MAX * TRI_PIN_TABLE_BYTES);
    munmap(stage->arena.reg, tri_part_bytes(TRI_PART_REGISTER, stage->arena.granules, stage->arena.slots));
}

static trp_err
say(struct stage *stage, struct tri_route route, const struct tri_section *section, struct tri_buf *frame,
    trp_error *error)
{
    struct tri_envelope envelope;
    const uint32_t count = section != NULL ? 1 : 0;
    const size_t size = tri_envelope_size(section, count);
    if (!TRI_RESERVE(stage->bytes, stage->capacity, size))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory");
    const size_t written = tri_envelope_write(stage->bytes, &route, section, count);
    TRP_TRY(tri_envelope_check(stage->bytes, written, frame != NULL ? &frame : NULL, frame != NULL ? 1 : 0, &envelope,
                               error));
    return tri_core_envelope(stage->core, stage->driver, &envelope, stage->now_ns, error);
}

static void
end_round(struct stage *stage)
{
    tri_core_round(stage->core, stage->now_ns);
    tri_core_acknowledged(stage->core, stage->driver, stage->packet, stage->now_ns);
}

static trp_err
put_one(struct stage *stage, const struct tri_section *section, struct tri_buf *frame, trp_error *error)
{
    const struct tri_id id = {tri_core_space(stage->core, stage->driver), ++stage->number};
    return say(stage, (struct tri_route){.kind = TRI_PUT, .result = id}, section, frame, error);
}

/* As many as one lease has room and slots for; what is left of it goes back. */
static trp_err
put_lease(struct stage *stage, uint32_t most, trp_error *error)
{
    stage->answered = false;
    TRP_TRY(say(stage,
                (struct tri_route){.kind = TRI_SPACE, .sequence = (uint64_t)TRI_OBJECT_GRANULES * TRI_LEASE_SLOTS_MAX},
                NULL, NULL, error));
    end_round(stage);
    for (int i = 0; i < 100 && !stage->answered && tri_core_next_ns(stage->core) == 0; i++)
        tri_core_tick(stage->core, stage->now_ns);
    if (!stage->answered)
        return TRI_FAIL(error, TRP_ESTOREFULL, "no lease after %" PRIu64 " objects", stage->number);
    struct tri_lease left = stage->lease;
    left.slots = stage->slots;
    for (; most > 0 && left.slot_count > 0 && left.count >= TRI_OBJECT_GRANULES; most--) {
        const uint32_t slot = left.slots[--left.slot_count];
        const struct tri_place place = {.slot = slot,
                                        .generation = tri_slot_generation(&stage->arena.words[slot]),
                                        .start = left.start,
                                        .size = BYTES};
        struct tri_buf *buf = NULL;
        TRP_TRY(tri_core_open_place(stage->core, stage->driver, &place, &buf, error));
        const struct tri_section section = {.meta_size = 64, .size = BYTES, .frame = buf};
        const trp_err err = put_one(stage, &section, buf, error);
        tri_buf_release(&buf);
        TRP_TRY(err);
        left.start += TRI_OBJECT_GRANULES;
        left.count -= TRI_OBJECT_GRANULES;
    }
    TRP_TRY(tri_lease_pack(&stage->packed, &left, error));
    TRP_TRY(say(stage, (struct tri_route){.kind = TRI_GIVEN}, &stage->packed.section, NULL, error));
    end_round(stage);
    return TRP_OK;
}

static trp_err
put_small(struct stage *stage, uint32_t most, trp_error *error)
{
    for (uint32_t i = 0; i < ROUND && i < most; i++) {
        TRP_TRY(tri_value_pack(&stage->packed, trp_i64(i), NULL, NULL, error));
        TRP_TRY(put_one(stage, &stage->packed.section, NULL, error));
    }
    end_round(stage);
    return TRP_OK;
}

static trp_err
release_all(struct stage *stage, uint64_t first, uint64_t end, trp_error *error)
{
    struct tri_run runs[RUNS];
    const uint64_t space = tri_core_space(stage->core, stage->driver);
    while (first < end) {
        uint32_t count = 0;
        while (count < RUNS && first < end)
            runs[count++] = (struct tri_run){.id = {space, first++}, .count = 1, .handed = 1};
        TRP_TRY(tri_runs_pack(&stage->packed, runs, count, error));
        TRP_TRY(say(stage, (struct tri_route){.kind = TRI_RELEASE}, &stage->packed.section, NULL, error));
        end_round(stage);
    }
    return TRP_OK;
}

static uint64_t
count_objects(const struct stage *stage)
{
    const struct tri_depot_stat stat = tri_depot_stat(stage->core->depot);
    struct tri_core_counts counts;
    tri_core_count(stage->core, &counts);
    return counts.objects + stat.gone_objects;
}

/* Puts them, measures, releases them, measures. */
static trp_err
run(uint32_t objects, bool is_stored, bool *met, trp_error *error)
{
    struct stage stage;
    TRP_TRY(open_stage(&stage, objects, error));
    const uint64_t heap = mallinfo2().uordblks + mallinfo2().hblkhd, pages = pages_bytes();
    uint64_t began = tri_now_ns();
    trp_err err = TRP_OK;
    while (err == TRP_OK && stage.number < objects)
        err = (is_stored ? put_lease : put_small)(&stage, objects - (uint32_t)stage.number, error);
    const double put_ns = (double)(tri_now_ns() - began) / objects;
    const double heap_each = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - heap) / objects;
    const double each = (double)(pages_bytes() - pages) / objects;
    if (err == TRP_OK && count_objects(&stage) != objects)
        err = TRI_FAIL(error, TRP_EINVAL, "%" PRIu64 " objects in the store", count_objects(&stage));
    began = tri_now_ns();
    if (err == TRP_OK)
        err = release_all(&stage, 1, objects + 1, error);
    const double seconds = (double)(tri_now_ns() - began) / 1e9;
    if (err == TRP_OK && count_objects(&stage) != 0)
        err = TRI_FAIL(error, TRP_EINVAL, "%" PRIu64 " objects are left in the store", count_objects(&stage));
    close_stage(&stage);
    TRP_TRY(err);
    printf("%" PRIu32 " objects %s: %.0f bytes each (%.0f of them the broker's own memory; aim: %.0f), %.0f ns to put "
           "one, %.2f s to release all (must: %.0f)\n",
           objects, is_stored ? "in the arena" : "that travel", each, heap_each, bytes_most, put_ns, seconds,
           seconds_most);
    *met = *met && seconds <= seconds_most;
    return TRP_OK;
}

int
main(int argc, char **argv)
{
    const unsigned long objects = argc > 1 ? strtoul(argv[1], NULL, 10) : MANY;
    bool met = true;
    trp_error error;
    if (objects == 0 || objects > MANY) {
        fprintf(stderr, "usage: objects [COUNT], up to %d\n", MANY);
        return 2;
    }
    if (run((uint32_t)objects, true, &met, &error) != TRP_OK || run((uint32_t)objects, false, &met, &error) != TRP_OK) {
        fprintf(stderr, "objects: %s\n", error.message);
        return 2;
    }
    return met || objects < MANY ? 0 : 1; /* the must is of a million */
}
