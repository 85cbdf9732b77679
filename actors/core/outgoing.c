/*
 * outgoing.c - envelopes on their way out: the queue for credit, posting, how long each is kept, deadlines. Under the
 * process's lock. It must not know what the user asked for (submit.c) nor what comes back (answers.c).
 */
#include "actors/core/state.h"

bool
tri_out_credited(uint8_t kind)
{
    return kind == TRI_CALL || kind == TRI_SPAWN;
}

/* --------------------------------------------------------------------------------------------------------- deadlines */

static uint64_t
deadline_of(const struct tri_proc *proc, size_t i)
{
    return proc->timers[i]->more->deadline_ns;
}

static void
timer_place(struct tri_proc *proc, size_t slot, struct tri_out *out)
{
    proc->timers[slot - 1] = out;
    out->more->timer = slot;
}

static void
timer_sift(struct tri_proc *proc, size_t slot, struct tri_out *out)
{
    while (slot > 1 && deadline_of(proc, slot / 2 - 1) > out->more->deadline_ns) {
        timer_place(proc, slot, proc->timers[slot / 2 - 1]);
        slot /= 2;
    }
    for (size_t child = slot * 2; child <= proc->timer_count; child = slot * 2) {
        if (child < proc->timer_count && deadline_of(proc, child) < deadline_of(proc, child - 1))
            child++;
        if (deadline_of(proc, child - 1) >= out->more->deadline_ns)
            break;
        timer_place(proc, slot, proc->timers[child - 1]);
        slot = child;
    }
    timer_place(proc, slot, out);
}

trp_err
tri_timer_reserve(struct tri_proc *proc)
{
    return TRI_RESERVE(proc->timers, proc->timer_capacity, proc->timer_count + 1) ? TRP_OK : TRP_ENOMEM;
}

void
tri_timer_add(struct tri_proc *proc, struct tri_out *out)
{
    proc->timer_count++;
    timer_sift(proc, proc->timer_count, out);
}

void
tri_timer_remove(struct tri_proc *proc, struct tri_out *out)
{
    const size_t slot = out->more == NULL ? 0 : out->more->timer;
    struct tri_out *last;

    if (slot == 0)
        return;
    out->more->timer = 0;
    last = proc->timers[--proc->timer_count];
    if (last != out)
        timer_sift(proc, slot, last);
}

/* --------------------------------------------------------------------------------------------- records of envelopes */

struct tri_out *
tri_out_new(struct tri_proc *proc, uint8_t kind, size_t data_size)
{
    struct tri_out *out = tri_memory_take(&proc->memory, sizeof *out + tri_pad8(data_size));

    if (out == NULL)
        return NULL;
    *out = (struct tri_out){.kind = kind, .size = (uint32_t)data_size};
    return out;
}

struct tri_out_more *
tri_out_more(struct tri_proc *proc, struct tri_out *out)
{
    if (out->more != NULL)
        return out->more;
    out->more = tri_memory_take(&proc->memory, sizeof *out->more);
    if (out->more != NULL) {
        memset(out->more, 0, sizeof *out->more);
        out->more->deadline_ns = TRI_NEVER;
    }
    return out->more;
}

static void
body_free(struct tri_proc *proc, struct tri_body **body)
{
    struct tri_body *had = *body;

    if (had == NULL)
        return;
    *body = NULL;
    for (uint32_t i = 0; i < had->section_count; i++)
        tri_buf_release(&had->owners[i]);
    for (uint32_t i = 0; i < had->ref_count; i++)
        tri_ref_drop(proc, had->refs[i]);
    tri_memory_put(&proc->memory, had, had->block_size);
}

void
tri_out_discard(struct tri_proc *proc, struct tri_out **out)
{
    struct tri_out *had = *out;

    *out = NULL;
    body_free(proc, &had->body);
    tri_memory_put(&proc->memory, had->more, sizeof *had->more);
    tri_memory_put(&proc->memory, had, sizeof *had + tri_pad8(had->size));
}

/* What was not posted has a handle of its own of what it makes and means, so that no RELEASE goes before it. */
static void
hold_made(struct tri_out *out)
{
    if (out->ref != NULL)
        out->ref->handles++;
    if (out->actor != NULL)
        out->actor->handles++;
}

static void
drop_handle(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->handles > 1)
        ref->handles--;
    else
        tri_ref_drop(proc, ref);
}

static void
drop_made(struct tri_proc *proc, struct tri_out *out)
{
    struct tri_ref *ref = out->ref, *actor = out->actor;

    if (out->kind != TRI_SPAWN)
        out->actor = NULL;
    if (ref != NULL)
        drop_handle(proc, ref); /* a watch that nobody has any more ends with it */
    if (actor != NULL)
        drop_handle(proc, actor);
}

static void
enter_queue(struct tri_proc *proc, struct tri_out *out)
{
    if (proc->unposted == &proc->outs)
        proc->unposted = &out->link;
    proc->queued_count++;
    proc->queued_bytes += out->bytes;
    proc->queued_spawns += out->kind == TRI_SPAWN;
}

static void
left_queue(struct tri_proc *proc, struct tri_out *out)
{
    if (proc->unposted == &out->link)
        proc->unposted = out->link.next;
    proc->queued_count--;
    proc->queued_bytes -= out->bytes;
    proc->queued_spawns -= out->kind == TRI_SPAWN;
}

bool
tri_out_aims(const struct tri_out *out)
{
    return out->kind != TRI_SPAWN && out->kind != TRI_PUT && !tri_id_is_none(out->target);
}

void
tri_out_end(struct tri_proc *proc, struct tri_out *out)
{
    struct tri_ref *ref = out->ref, *actor = out->actor;

    if (!out->posted) /* with the handles of hold_made */
        left_queue(proc, out);
    else
        hold_made(out); /* what it carries may lead to what it makes, and be the last that has it */
    tri_list_remove(&out->link);
    if (out->more != NULL)
        tri_timer_remove(proc, out);
    if (ref != NULL && ref->out == out) {
        ref->out = NULL;
        ref->own_call = false;
    }
    if (actor != NULL && actor->out == out)
        actor->out = NULL;
    tri_out_discard(proc, &out);
    proc->out_count--;
    if (ref != NULL)
        tri_ref_drop(proc, ref);
    if (actor != NULL)
        tri_ref_drop(proc, actor);
}

void
tri_out_accepted(struct tri_proc *proc, struct tri_out *out)
{
    if (!out->posted) { /* a host has it from the broker before */
        left_queue(proc, out);
        out->posted = true;
        drop_made(proc, out);
    }
    if (out->ref == NULL) {
        tri_out_end(proc, out);
        return;
    }
    out->accepted = true;
    tri_list_remove(&out->link);
    tri_list_append(&proc->accepted_outs, &out->link);
    body_free(proc, &out->body);
}

/* ------------------------------------------------------------------------------------------------------------- lanes */

struct tri_lane_out *
tri_lane_out(struct tri_proc *proc, struct tri_id target)
{
    struct tri_lane_out *lane = proc->last_lane;
    struct tri_entry *entry;

    if (lane != NULL && tri_id_equal(lane->entry.id, target))
        return lane;
    entry = tri_table_find(&proc->lanes_out, target);
    if (entry == NULL) {
        if (tri_table_reserve(&proc->lanes_out, 1) != TRP_OK)
            return NULL;
        lane = tri_memory_take(&proc->memory, sizeof *lane);
        if (lane == NULL)
            return NULL;
        memset(lane, 0, sizeof *lane);
        lane->entry.id = target;
        entry = &lane->entry;
        tri_table_insert(&proc->lanes_out, entry);
    }
    proc->last_lane = TRI_OWNER(entry, struct tri_lane_out, entry);
    return proc->last_lane;
}

/* All calls of this lane up to `sequence` are accepted or have failed: one-way ones need not be kept. */
void
tri_lane_told(struct tri_proc *proc, struct tri_lane_out *lane, uint64_t sequence)
{
    while (lane->first_one_way != NULL && lane->first_one_way->sequence <= sequence && lane->first_one_way->posted) {
        struct tri_out *out = lane->first_one_way;
        lane->first_one_way = out->next_one_way;
        if (lane->first_one_way == NULL)
            lane->last_one_way = NULL;
        tri_out_end(proc, out);
    }
}

/* A one-way call has failed at the broker. Those before it may still wait there. */
void
tri_lane_failed(struct tri_proc *proc, struct tri_lane_out *lane, uint64_t sequence)
{
    struct tri_out *before = NULL, *out = lane->first_one_way;

    while (out != NULL && out->sequence != sequence) {
        before = out;
        out = out->next_one_way;
    }
    if (out == NULL || !out->posted)
        return;
    if (before == NULL)
        lane->first_one_way = out->next_one_way;
    else
        before->next_one_way = out->next_one_way;
    if (lane->last_one_way == out)
        lane->last_one_way = before;
    tri_out_end(proc, out);
}

/* ----------------------------------------------------------------------------------------------------------- posting */

void
tri_post(struct tri_proc *proc, const struct tri_route *route, const struct tri_section *section)
{
    (void)proc->ops.post(proc->ops.user, route, section, section == NULL ? 0 : 1, 0);
}

void
tri_post_ids(struct tri_proc *proc, uint8_t kind, uint16_t flags, const struct tri_ids *ids)
{
    const struct tri_route route = {.kind = kind, .flags = flags};

    for (size_t done = 0; done < ids->count; done += TRI_IDS_IN_BATCH) {
        const size_t n = ids->count - done < TRI_IDS_IN_BATCH ? ids->count - done : TRI_IDS_IN_BATCH;
        if (tri_ids_pack(&proc->packed, ids->ids + done, (uint32_t)n, NULL) == TRP_OK)
            tri_post(proc, &route, &proc->packed.section);
    }
}

void
tri_post_releases(struct tri_proc *proc)
{
    struct tri_route route = {.kind = TRI_RELEASE};

    if (proc->release_count > 0 && !proc->ending &&
        tri_runs_pack(&proc->packed, proc->releases, proc->release_count, NULL) == TRP_OK)
        tri_post(proc, &route, &proc->packed.section);
    proc->release_count = 0;
}

void
tri_post_blocked(struct tri_proc *proc, const struct tri_block_wait *wait)
{
    struct tri_route route = {.kind = TRI_BLOCKED, .parent = wait->execution};

    route.flags = wait->any ? TRI_ANY : 0;
    if (tri_ids_pack(&proc->packed, wait->ids, wait->count, NULL) == TRP_OK)
        tri_post(proc, &route, &proc->packed.section);
}

bool
tri_ids_add(struct tri_ids *ids, struct tri_id id)
{
    if (!TRI_RESERVE(ids->ids, ids->capacity, ids->count + 1))
        return false;
    ids->ids[ids->count++] = id;
    return true;
}

static uint64_t
deadline_left_us(const struct tri_proc *proc, const struct tri_out *out)
{
    if (out->more == NULL || out->more->deadline_ns == TRI_NEVER)
        return 0;
    return out->more->deadline_ns <= proc->now_ns + 1000 ? 1 : (out->more->deadline_ns - proc->now_ns) / 1000;
}

static void
names_carried(struct tri_proc *proc, const struct tri_out *out)
{
    if (out->kind == TRI_PUT)
        for (uint32_t i = 0; i < tri_ref_value(out->ref)->ref_count; i++) {
            struct tri_ref *inner = tri_ref_find(proc, tri_ref_value(out->ref)->refs[i].id);
            if (inner != NULL)
                tri_ref_carried(proc, inner);
        }
    else if (out->body != NULL)
        for (uint32_t i = 0; i < out->body->ref_count; i++)
            tri_ref_carried(proc, out->body->refs[i]);
}

/* What it carries: one section, unless it has a body of its own. */
static const struct tri_section *
sections_of(const struct tri_out *out, struct tri_section *one, uint32_t *count)
{
    *count = 1;
    if (out->body != NULL) {
        *count = out->body->section_count;
        return out->body->sections;
    }
    if (out->kind == TRI_PUT)
        return tri_ref_value(out->ref);
    *one = (struct tri_section){.meta_size = out->meta_size, .size = out->size, .data = (const uint8_t *)(out + 1)};
    return one;
}

const char *
tri_proc_method(const struct tri_ref *ref, struct tri_id *target)
{
    const struct tri_out *out = ref->out;
    struct tri_section one;
    const char *method;
    uint32_t count;

    if (out == NULL || out->ref != ref || out->kind != TRI_CALL)
        return NULL;
    *target = out->target;
    if (out->more != NULL && out->more->method[0] != '\0')
        return out->more->method;
    if (out->body == NULL && out->size == 0)
        return NULL; /* its host has it: the body is gone */
    method = tri_call_method(sections_of(out, &one, &count));
    return method[0] != '\0' ? method : NULL;
}

/* The broker answers it and keeps nothing: its result is private until an entry names it, which puts it first. */
static bool
answered_at_once(uint8_t kind)
{
    return kind == TRI_LOOKUP || kind == TRI_KILL || kind == TRI_QUERY || kind == TRI_SPAWN;
}

static void
post_out(struct tri_proc *proc, struct tri_out *out)
{
    struct tri_route route = {
        .kind = out->kind,
        .flags = out->flags,
        .priority = out->priority,
        .target = out->target,
        .parent = out->parent,
        .sequence = out->sequence,
        .deadline_us = deadline_left_us(proc, out),
    };
    struct tri_section one;
    uint32_t count;
    const struct tri_section *sections = sections_of(out, &one, &count);

    if (out->ref != NULL)
        route.result = out->ref->entry.id;
    if (out->kind == TRI_PUT && out->ref->state == TRI_REF_FAILED)
        route.flags |= TRI_FAILED;
    if (out->again && tri_out_credited(out->kind))
        route.flags |= TRI_RETRIED;
    for (uint32_t i = 0; proc->has_begun && i < count; i++)
        tri_begun_mark(proc, &sections[i]);
    proc->ops.post(proc->ops.user, &route, sections, count, tri_out_credited(out->kind) ? out->bytes : 0);
    out->posted = true;
}

/* What it makes and names is known over there from now on. With the handles of hold_made, which go. */
static void
was_posted(struct tri_proc *proc, struct tri_out *out)
{
    /* A value that was asked for is kept without it; a one-way task has no name to ask by. */
    const bool is_over = out->fetched || (out->ref == NULL && out->kind == TRI_CALL && out->lane == NULL);

    if (out->body != NULL || out->kind == TRI_PUT)
        names_carried(proc, out);
    /* Who was asked for a value may have let go of it: it does not hold it anew. */
    if (out->ref != NULL && !out->fetched && !answered_at_once(out->kind))
        tri_ref_carried(proc, out->ref);
    if (out->actor != NULL)
        tri_ref_carried(proc, out->actor);
    if (out->overdue && out->ref != NULL)
        (void)tri_ids_add(&proc->overdue, out->ref->entry.id);
    drop_made(proc, out);
    if (is_over)
        tri_out_end(proc, out);
}

/* A call whose result somebody here has, that names nothing and whose deadline has not passed: nothing else is to be done. */
static bool
is_usual(const struct tri_out *out)
{
    return out->kind == TRI_CALL && out->ref != NULL && out->ref->handles > 0 && out->actor == NULL &&
           out->body == NULL && !out->overdue;
}

/* Values and requests never wait behind calls, which may be waiting for them over there; but a request may mean an actor
 * whose SPAWN waits. The list stays in the order made, with what is posted before what is not. */
void
tri_out_append(struct tri_proc *proc, struct tri_out *out)
{
    const bool credited = tri_out_credited(out->kind);
    const bool first = proc->unposted == &proc->outs;

    if (credited ? !first || !proc->ops.has_credit(proc->ops.user, out->bytes)
                 : out->kind != TRI_PUT && proc->queued_spawns > 0) {
        if (out->actor == NULL && tri_out_aims(out))
            out->actor = tri_ref_find(proc, out->target); /* or its RELEASE might go before the call */
        hold_made(out);
        tri_list_append(&proc->outs, &out->link);
        enter_queue(proc, out);
        return;
    }
    tri_list_append(proc->unposted, &out->link); /* before the first that waits */
    if (is_usual(out)) {
        post_out(proc, out);
        tri_ref_carried(proc, out->ref);
        return;
    }
    hold_made(out);
    post_out(proc, out);
    was_posted(proc, out);
}

void
tri_outs_pump(struct tri_proc *proc)
{
    while (proc->unposted != &proc->outs) {
        struct tri_out *out = TRI_OWNER(proc->unposted, struct tri_out, link);
        if (tri_out_credited(out->kind) && !proc->ops.has_credit(proc->ops.user, out->bytes))
            return;
        post_out(proc, out);
        left_queue(proc, out);
        was_posted(proc, out);
    }
}

/* -------------------------------------------------------------------------------------------------------- publishing */

static bool
is_private(const struct tri_proc *proc, const struct tri_ref *ref)
{
    return ref->state == TRI_REF_READY && !ref->is_actor && !ref->shared && ref->out == NULL &&
           ref->entry.id.space == proc->space;
}

trp_err
tri_publish_one(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    struct tri_out *out = tri_out_new(proc, TRI_PUT, 0);

    if (out == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to publish a value");
    out->ref = ref;
    out->bytes = tri_envelope_bytes(tri_ref_value(ref), 1);
    ref->out = out;
    ref->kept = true;
    proc->out_count++;
    tri_out_append(proc, out);
    return TRP_OK;
}

/* In the width: an entry may come before the PUT that makes it. */
trp_err
tri_publish(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    struct tri_node *node;

    if (!is_private(proc, ref))
        return TRP_OK;
    TRP_TRY(tri_publish_one(proc, ref, error));
    for (node = &ref->out->link; node != proc->unposted; node = node->next) {
        const struct tri_section *value = tri_ref_value(TRI_OWNER(node, struct tri_out, link)->ref);
        for (uint32_t i = 0; i < value->ref_count; i++) {
            struct tri_ref *inner = tri_ref_find(proc, value->refs[i].id);
            if (inner != NULL && is_private(proc, inner))
                TRP_TRY(tri_publish_one(proc, inner, error));
        }
    }
    return TRP_OK;
}
