/*
 * stored.c - a process's values in the arena: asks the broker for room, gives room to who packs a large value, and finds what the
 * broker says the place of. With the process's lock where not said otherwise. It knows nothing of how the arena is kept
 * (store/process.h).
 */
#include <unistd.h>

#include "actors/process.h"

static void
close_fds(struct tri_process *process)
{
    for (int i = 0; i < TRI_STORE_FDS; i++) {
        if (process->arena_fds[i] >= 0)
            (void)close(process->arena_fds[i]);
        process->arena_fds[i] = -1;
    }
}

void
tri_stored_greeted(struct tri_process *process, const struct tri_greeting *greeting)
{
    close_fds(process);
    for (size_t i = 0; i < greeting->fd_count; i++) {
        if (greeting->fd_count == TRI_STORE_FDS && process->store == NULL)
            process->arena_fds[i] = greeting->fds[i];
        else
            (void)close(greeting->fds[i]); /* of the arena that we have: it outlives its broker */
    }
}

/* ------------------------------------------------------------------------------------------------------------- places */

static trp_err
find_place(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    struct tri_process *process = user;

    return tri_store_find(process->store, place, buf, error);
}

static void
ask(struct tri_process *process, uint32_t granules)
{
    const struct tri_route route = {.kind = TRI_SPACE, .sequence = granules};

    process->space_asked = process->space_least = granules;
    (void)tri_process_post_route(process, &route, NULL);
    tri_process_flush(process);
}

trp_err
tri_stored_welcome(struct tri_process *process, const struct tri_welcome *welcome, trp_error *error)
{
    const struct tri_store_shape shape = {
        .granules = welcome->arena_granules, .slots = welcome->slots, .table = welcome->pins};

    if (process->store == NULL && shape.granules > 0 && process->arena_fds[0] >= 0) {
        int fds[TRI_STORE_FDS];
        memcpy(fds, process->arena_fds, sizeof fds);
        for (int i = 0; i < TRI_STORE_FDS; i++)
            process->arena_fds[i] = -1;
        TRP_TRY(tri_store_begin(fds, &shape, &process->store, error));
    }
    close_fds(process);
    if (process->store == NULL)
        return TRP_OK;
    process->places = (struct tri_places){find_place, process};
    process->channel.places = &process->places;
    return TRP_OK;
}

void
tri_stored_again(struct tri_process *process)
{
    if (process->space_asked > 0)
        ask(process, process->space_asked); /* the broker that was asked is dead */
}

void
tri_stored_end(struct tri_process *process)
{
    close_fds(process);
    tri_store_end(&process->store);
}

/* -------------------------------------------------------------------------------------------------------------- rooms */

static void
answered(struct tri_process *process)
{
    process->space_asked = 0;
    process->space_answers++;
    tri_waiters_poke(process, false);
}

trp_err
tri_stored_lease(struct tri_process *process, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_failure chain[8];
    struct tri_section section;
    struct tri_lease lease;
    uint32_t count = 0;

    if (process->store == NULL || process->space_asked == 0 || envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "LEASE that nobody asked for");
    tri_envelope_section(envelope, 0, &section);
    process->space_refusal = (trp_error){.code = TRP_OK};
    if ((envelope->route.flags & TRI_FAILED) != 0) {
        TRP_TRY(tri_error_unpack(&section, chain, &count, error));
        process->space_refusal = chain[0].error;
    } else {
        TRP_TRY(tri_lease_unpack(&section, &lease, error));
        TRP_TRY(tri_store_lease(process->store, (struct tri_span){lease.start, lease.count}, lease.slots,
                                lease.slot_count, error));
    }
    answered(process);
    return TRP_OK;
}

static trp_err
give(struct tri_process *process, const struct tri_lease *lease, bool is_last, trp_error *error)
{
    const struct tri_route route = {.kind = TRI_GIVEN, .flags = is_last ? TRI_LAST : 0};

    TRP_TRY(tri_lease_pack(&process->space_given, lease, error));
    (void)tri_process_post_route(process, &route, &process->space_given.section);
    return TRP_OK;
}

/* Others wait for room. What a thread waits for may have come, and stays; all else that is in no use goes. */
trp_err
tri_stored_revoke(struct tri_process *process, trp_error *error)
{
    const uint32_t least = process->space_waits > 0 ? process->space_least : TRI_ALL_GRANULES;
    uint32_t slots[TRI_LEASE_SLOTS_MAX], count = 0;
    struct tri_span run;

    if (process->store == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "REVOKE on a node without an arena");
    while (tri_store_give(process->store, least, &run))
        TRP_TRY(give(process, &(struct tri_lease){.start = run.start, .count = run.count}, false, error));
    if (process->space_waits == 0)
        count = tri_store_give_slots(process->store, slots, TRI_LEASE_SLOTS_MAX);
    return give(process, &(struct tri_lease){.slots = slots, .slot_count = count}, true, error);
}

struct answer {
    const struct tri_process *process;
    uint64_t answers;
};

static bool
is_answered(void *user)
{
    const struct answer *answer = user;

    return answer->process->space_answers != answer->answers || answer->process->state > TRI_AWAY;
}

/* Waits for an answer of the broker: to our question, or to that of another thread, which may be all that is needed. */
static trp_err
await(struct tri_process *process, uint32_t granules, trp_error *error)
{
    struct answer answer = {process, process->space_answers};
    trp_err err;

    if (process->space_asked == 0)
        ask(process, granules);
    process->space_waits++;
    err = tri_process_wait(process, is_answered, &answer, TRI_NEVER, NULL, 0, false, error);
    process->space_waits--;
    if (err != TRP_OK)
        return err;
    TRP_TRY(tri_process_alive(process, error));
    if (process->space_refusal.code == TRP_OK)
        return TRP_OK;
    if (error != NULL)
        *error = process->space_refusal;
    return process->space_refusal.code;
}

trp_err
tri_stored_take(struct tri_process *process, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    trp_err err = TRP_OK;

    *buf = NULL;
    while (err == TRP_OK && process->store != NULL) {
        uint32_t wanted = 0;
        *buf = tri_store_take(process->store, size, &wanted);
        if (*buf != NULL || wanted == 0)
            return TRP_OK;
        err = await(process, wanted, error);
    }
    return err == TRP_ESTOREFULL && size <= TRI_FRAME_MAX ? TRP_OK : err; /* then it travels */
}

static trp_err
take_free(void *user, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    struct tri_process *process = user;
    trp_err err;

    tri_process_lock(process);
    err = tri_stored_take(process, size, buf, error);
    tri_process_unlock(process);
    return err;
}

void
tri_stored_rooms(struct tri_process *process, struct tri_rooms *rooms)
{
    *rooms = (struct tri_rooms){take_free, process};
}
