/*
 * directory.c - what a LOOKUP costs the broker's core with 10,000 and with 1,000,000 named actors, alone in its packet and
 * with others behind it: from its envelope to the end of the round. Names are drawn at random; the handles are released
 * before the next are asked for, outside the measured time. One thread, no socket; it must not know how the directory is
 * made.
 *
 *     directory [--quick]     --quick: 100 and 10,000 names, to see whether it works; no figure is judged
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/core/stage.h"
#include "bench/limits/limits.h"

enum { FEW = 10000, MANY = 1000000, QUICK = 100, LOOKUPS = 20000, ROUNDS = 9, RUN_MAX = 100 };
static const double must = 1.5;

struct stage {
    struct tri_core *core;
    tri_peer_index maker, asker;
    struct tri_packed packed;
    uint64_t now_ns, number, draw, answers;
    uint32_t names;
    const char *format; /* of a name */
};

struct posted {
    _Alignas(8) uint8_t bytes[512];
    struct tri_envelope envelope;
};

static uint64_t
on_send(void *user, tri_peer_index peer, const struct tri_route *route, const struct tri_section *sections,
        uint32_t count, bool credited)
{
    (void)peer, (void)sections, (void)count, (void)credited;
    ((struct stage *)user)->answers += route->kind == TRI_RESULT && (route->flags & TRI_FAILED) == 0;
    return 1;
}

static void
name_of(const struct stage *stage, uint32_t i, char text[TRI_NAME_MAX + 1])
{
    snprintf(text, TRI_NAME_MAX + 1, stage->format, i);
}

/* The actors are there, no host runs them: the directory does not look at hosts. */
static trp_err
fill(struct stage *stage, trp_error *error)
{
    struct tri_peer *maker = tri_peer_find(stage->core, stage->maker);
    char text[TRI_NAME_MAX + 1];
    for (uint32_t i = 0; i < stage->names; i++) {
        const struct tri_id id = {maker->entry.id.space, ++stage->number};
        if (tri_table_reserve(&stage->core->things, 2) != TRP_OK)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u names", stage->names);
        struct tri_actor *actor = tri_actor_new(stage->core, id);
        tri_hold_hand(stage->core, &actor->thing, maker, 1);
        name_of(stage, i, text);
        TRP_TRY(tri_name_bind(stage->core, actor, "default", text, error));
    }
    return TRP_OK;
}

static trp_err
open_stage(struct stage *stage, uint32_t names, const char *format, trp_error *error)
{
    *stage = (struct stage){.now_ns = TRI_NS_PER_S, .draw = 7, .names = names, .format = format};
    TRP_TRY(tri_stage_core(on_send, stage, NULL, stage->now_ns, &stage->core, error));
    TRP_TRY(tri_stage_driver(stage->core, stage->now_ns, &stage->maker, error));
    TRP_TRY(tri_stage_driver(stage->core, stage->now_ns, &stage->asker, error));
    return fill(stage, error);
}

static void
close_stage(struct stage *stage)
{
    tri_core_destroy(&stage->core);
    tri_packed_fini(&stage->packed);
}

/* What was packed, as it comes out of a packet. */
static trp_err
post(struct stage *stage, struct tri_route route, struct posted *posted, trp_error *error)
{
    size_t size = tri_envelope_size(&stage->packed.section, 1);
    if (size > sizeof posted->bytes)
        return TRI_FAIL(error, TRP_ELIMIT, "an envelope of %zu bytes", size);
    size = tri_envelope_write(posted->bytes, &route, &stage->packed.section, 1);
    return tri_envelope_check(posted->bytes, size, NULL, 0, &posted->envelope, error);
}

/* As the shell does: the envelopes of a packet, then the end of its round. */
static trp_err
take(struct stage *stage, const struct posted *posted, uint32_t count, trp_error *error)
{
    for (uint32_t i = 0; i < count; i++)
        TRP_TRY(tri_core_envelope(stage->core, stage->asker, &posted[i].envelope, stage->now_ns, error));
    tri_core_round(stage->core, stage->now_ns);
    return TRP_OK;
}

/* `run` names in one packet; the time of a LOOKUP is its part of the whole. */
static trp_err
look_up(struct stage *stage, uint32_t run, uint64_t *took_ns, trp_error *error)
{
    static struct posted posted[RUN_MAX];
    struct tri_run releases[RUN_MAX];
    const uint64_t space = tri_core_space(stage->core, stage->maker);
    char text[TRI_NAME_MAX + 1];
    for (uint32_t i = 0; i < run; i++) {
        const struct tri_id result = {tri_core_space(stage->core, stage->asker), ++stage->number};
        const uint32_t which = (uint32_t)(tri_random_next(&stage->draw) % stage->names);
        releases[i] = (struct tri_run){.id = {space, which + 1}, .count = 1, .handed = 1};
        name_of(stage, which, text);
        TRP_TRY(tri_name_pack(&stage->packed, text, "default", error));
        TRP_TRY(post(stage, (struct tri_route){.kind = TRI_LOOKUP, .result = result}, &posted[i], error));
    }
    const uint64_t answers = stage->answers, begin = tri_limit_now_ns();
    TRP_TRY(take(stage, posted, run, error));
    *took_ns = tri_limit_now_ns() - begin;
    if (stage->answers != answers + run)
        return TRI_FAIL(error, TRP_ENOENT, "%u names, not as many answers", run);
    for (uint32_t i = 0; i < run; i++) {
        TRP_TRY(tri_runs_pack(&stage->packed, &releases[i], 1, error));
        TRP_TRY(post(stage, (struct tri_route){.kind = TRI_RELEASE}, &posted[i], error));
    }
    return take(stage, posted, run, error);
}

/* One line of memory that is in no cache, for comparison: a walk through 64 MiB in random order, each step timed. */
static trp_err
miss(uint64_t *p50, trp_error *error)
{
    enum { LINES = 1 << 20 };
    static uint64_t values[LOOKUPS];
    struct line {
        struct line *next;
        char rest[TRI_LINE - sizeof(struct line *)];
    } *lines = tri_zeroed_new(LINES * sizeof *lines);
    uint64_t draw = 7;
    if (lines == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to compare with");
    for (size_t i = 0; i < LINES; i++)
        lines[i].next = &lines[i];
    for (size_t i = LINES - 1; i > 0; i--) { /* Sattolo: one cycle through all */
        struct line *other = &lines[tri_random_next(&draw) % i], *next = lines[i].next;
        lines[i].next = other->next;
        other->next = next;
    }
    struct line *volatile at = lines;
    for (size_t i = 0; i < LOOKUPS; i++) {
        const uint64_t begin = tri_limit_now_ns();
        at = at->next;
        values[i] = tri_limit_now_ns() - begin;
    }
    free(lines);
    *p50 = tri_limit_percentile(values, LOOKUPS, 50);
    return TRP_OK;
}

static uint64_t
clock_cost(void)
{
    static uint64_t values[1000];
    for (size_t i = 0; i < 1000; i++) {
        const uint64_t begin = tri_limit_now_ns();
        values[i] = tri_limit_now_ns() - begin;
    }
    return tri_limit_percentile(values, 1000, 50);
}

static trp_err
measure(struct stage *stage, uint32_t run, uint64_t *p50, trp_error *error)
{
    static uint64_t values[LOOKUPS];
    const uint64_t clock_ns = clock_cost();
    for (size_t i = 0; i < LOOKUPS / run; i++)
        TRP_TRY(look_up(stage, run, &values[i], error));
    *p50 = tri_limit_percentile(values, LOOKUPS / run, 50);
    *p50 = (*p50 > clock_ns ? *p50 - clock_ns : 1) / run;
    return TRP_OK;
}

/* In turn, so that what else the machine does meets both; each is warm when it is measured. */
static trp_err
compare(struct stage *few, struct stage *many, uint32_t run, const char *what, bool *met, trp_error *error)
{
    uint64_t of_few[ROUNDS], of_many[ROUNDS], ignored, ratios[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        TRP_TRY(measure(few, run, &ignored, error));
        TRP_TRY(measure(few, run, &of_few[i], error));
        TRP_TRY(measure(many, run, &ignored, error));
        TRP_TRY(measure(many, run, &of_many[i], error));
        ratios[i] = 1000 * of_many[i] / of_few[i];
    }
    const uint64_t ratio = tri_limit_percentile(ratios, ROUNDS, 50);
    *met = *met && (double)ratio <= must * 1000;
    printf("%-18s %3u in a packet: %5" PRIu64 " ns of %u, %5" PRIu64 " ns of %u: %.2f (must: %.1f)\n", what, run,
           tri_limit_percentile(of_few, ROUNDS, 50), few->names, tri_limit_percentile(of_many, ROUNDS, 50), many->names,
           (double)ratio / 1000, must);
    fflush(stdout);
    return TRP_OK;
}

/* `share`: 1, or how much smaller everything is. */
static trp_err
run(uint32_t share, bool *all_met, trp_error *error)
{
    static const char *const formats[] = {"actor-%07u", "a-name-of-an-actor-that-is-longer-than-most-others-%07u"};
    struct stage few = {0}, many = {0};
    uint64_t miss_ns = 0;
    bool met = true;
    TRP_TRY(miss(&miss_ns, error));
    printf("%-18s %5" PRIu64 " ns\n", "a miss of all caches", miss_ns > clock_cost() ? miss_ns - clock_cost() : 0);
    for (size_t i = 0; i < 2; i++) {
        const char *what = i == 0 ? "LOOKUP" : "LOOKUP, long name";
        trp_err err = open_stage(&few, FEW / share, formats[i], error);
        if (err == TRP_OK)
            err = open_stage(&many, MANY / share, formats[i], error);
        if (err == TRP_OK)
            err = compare(&few, &many, 1, what, &met, error);
        if (err == TRP_OK)
            err = compare(&few, &many, RUN_MAX, what, &met, error);
        close_stage(&few);
        close_stage(&many);
        TRP_TRY(err);
    }
    *all_met = met;
    return TRP_OK;
}

int
main(int argc, char **argv)
{
    const bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    bool met = false;
    trp_error error;
    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: directory [--quick]\n");
        return 2;
    }
    if (run(quick ? QUICK : 1, &met, &error) != TRP_OK) {
        fprintf(stderr, "directory: %s\n", error.message);
        return 2;
    }
    return met || quick ? 0 : 1;
}
