/*
 * submit.c - what the user asks for becomes an outgoing envelope: calls, spawns, requests, values of one's own. Under the
 * process's lock. It must not know about credit and sending again (outgoing.c).
 */
#include "actors/core/state.h"

/* Values that the call carries itself, in place of their names. */
struct appended {
    struct tri_ref *refs[TRI_APPENDED_MAX];
    uint32_t places[TRI_APPENDED_MAX];
    uint32_t count, frames;
    uint64_t entries;
    const struct tri_section *trace; /* and the mark; NULL: none */
};

static bool
goes_along(const struct appended *appended, const struct tri_ref_entry *entry, const struct tri_ref *ref)
{
    return entry->place != TRI_NESTED && !ref->is_actor && ref->state == TRI_REF_READY && ref->held != NULL &&
           tri_section_place(&ref->held->section) == NULL && /* the broker has that, and sees to it that it is there */
           appended->count < TRI_APPENDED_MAX && appended->entries + ref->held->section.ref_count <= TRI_REFS_MAX / 2 &&
           appended->frames + tri_section_is_frame(&ref->held->section) <= TRI_APPENDED_FRAMES_MAX;
}

static trp_err
choose(struct tri_proc *proc, const struct tri_section *body, struct appended *appended, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];

    for (uint32_t i = 0; i < body->ref_count; i++) {
        const struct tri_ref_entry *entry = &body->refs[i];
        struct tri_ref *ref = tri_ref_find(proc, entry->id);
        if (ref == NULL)
            return TRI_FAIL(error, TRP_EINVAL, "an argument names %s, of which this process has no handle",
                            tri_id_format(entry->id, text));
        if (!goes_along(appended, entry, ref))
            continue;
        appended->refs[appended->count] = ref;
        appended->places[appended->count++] = entry->place + 1;
        appended->frames += tri_section_is_frame(&ref->held->section);
        appended->entries += ref->held->section.ref_count;
    }
    return TRP_OK;
}

/* Whether entry i of the body is one of those whose value goes along: they were chosen in order. */
static bool
was_chosen(const struct appended *appended, uint32_t *next, const struct tri_ref_entry *entry)
{
    if (*next < appended->count && entry->place != TRI_NESTED && appended->places[*next] == entry->place + 1 &&
        tri_id_equal(appended->refs[*next]->entry.id, entry->id)) {
        (*next)++;
        return true;
    }
    return false;
}

static struct tri_body *
body_new(struct tri_proc *proc, const struct tri_section *section, const struct appended *appended, uint8_t **data)
{
    bool inline_data = section->frame == NULL && section->size <= TRI_COPY_MAX;
    const size_t mark_size = appended->trace != NULL ? tri_pad8(appended->trace->size) : 0;
    size_t sections = 1 + appended->count + (appended->trace != NULL);
    size_t refs = section->ref_count + appended->entries;
    size_t size = sizeof(struct tri_body) + sections * sizeof(struct tri_section) +
                  sections * sizeof(struct tri_buf *) + refs * sizeof(struct tri_ref *) +
                  refs * sizeof(struct tri_ref_entry) + (inline_data ? tri_pad8(section->size) : 0) + mark_size;
    struct tri_body *body = tri_memory_take(&proc->memory, size);
    char *at;

    if (body == NULL)
        return NULL;
    body->block_size = size;
    body->section_count = (uint32_t)sections;
    body->ref_count = 0;
    at = (char *)(body + 1);
    body->sections = (struct tri_section *)(void *)at;
    at += sections * sizeof(struct tri_section);
    body->sections[0] = *section;
    body->sections[0].place = 0;
    body->sections[0].refs = (struct tri_ref_entry *)(void *)at;
    at += refs * sizeof(struct tri_ref_entry);
    *data = inline_data ? (uint8_t *)at : NULL;
    at += inline_data ? tri_pad8(section->size) : 0;
    if (appended->trace != NULL) {
        body->sections[sections - 1] = *appended->trace;
        body->sections[sections - 1].data = memcpy(at, appended->trace->data, (size_t)appended->trace->size);
    }
    at += mark_size;
    body->owners = (struct tri_buf **)(void *)at;
    body->owners[sections - 1] = NULL;
    at += sections * sizeof(struct tri_buf *);
    body->refs = (struct tri_ref **)(void *)at;
    return body;
}

static void
hold(struct tri_body *body, struct tri_ref *ref)
{
    ref->handles++;
    body->refs[body->ref_count++] = ref;
}

static void
fill_entries(struct tri_proc *proc, struct tri_body *body, const struct tri_section *section,
             const struct appended *appended)
{
    struct tri_ref_entry *entries = (struct tri_ref_entry *)(void *)(uintptr_t)body->sections[0].refs;
    uint32_t next = 0, used = section->ref_count;

    for (uint32_t i = 0; i < section->ref_count; i++) {
        entries[i] = section->refs[i];
        if (was_chosen(appended, &next, &section->refs[i]))
            memset(&entries[i].id, 0, sizeof entries[i].id);
        else
            hold(body, tri_ref_find(proc, entries[i].id));
    }
    for (uint32_t i = 0; i < appended->count; i++) {
        struct tri_held *held = appended->refs[i]->held;
        body->sections[1 + i] = held->section;
        body->sections[1 + i].place = appended->places[i];
        body->sections[1 + i].refs = entries + used;
        body->owners[1 + i] = tri_buf_retain(&held->buf);
        for (uint32_t k = 0; k < held->section.ref_count; k++) {
            entries[used++] = held->entries[k];
            hold(body, tri_ref_find(proc, held->entries[k].id));
        }
    }
}

static trp_err
body_make(struct tri_proc *proc, const struct tri_section *section, const struct appended *appended,
          struct tri_body **made, trp_error *error)
{
    uint8_t *data;
    struct tri_body *body = body_new(proc, section, appended, &data);

    if (body == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a call");
    body->owners[0] = NULL;
    if (data != NULL) {
        if (section->size > 0)
            memcpy(data, section->data, section->size);
        body->sections[0].data = data;
    } else if (section->frame != NULL) {
        body->owners[0] = tri_buf_retain(section->frame);
    } else {
        body->owners[0] = tri_buf_copy(section->data, (size_t)section->size);
        if (body->owners[0] == NULL) {
            tri_memory_put(&proc->memory, body, body->block_size);
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a call of %llu bytes", (unsigned long long)section->size);
        }
        body->sections[0].data = body->owners[0]->data;
        body->sections[0].frame = body->owners[0];
    }
    fill_entries(proc, body, section, appended);
    *made = body;
    return TRP_OK;
}

/* What travels by name has to be known to the broker. */
static trp_err
publish_named(struct tri_proc *proc, const struct tri_body *body, trp_error *error)
{
    for (uint32_t i = 0; i < body->ref_count; i++)
        TRP_TRY(tri_publish(proc, body->refs[i], error));
    return TRP_OK;
}

/* A body of its own: what it names has handles, and what it carries along is chosen. */
static trp_err
add_body(struct tri_proc *proc, const struct tri_submit *submit, struct tri_out *out, trp_error *error)
{
    const struct tri_section *section = &submit->body;
    struct appended appended;

    /* Of so many references each may come along, now or at the broker: there is no section left. */
    appended.trace = section->ref_count + 2u <= TRI_SECTIONS_MAX ? submit->trace : NULL;
    appended.count = appended.frames = 0;
    appended.entries = 0;
    TRP_TRY(choose(proc, section, &appended, error));
    TRP_TRY(body_make(proc, section, &appended, &out->body, error));
    TRP_TRY(publish_named(proc, out->body, error));
    out->bytes = tri_envelope_bytes(out->body->sections, out->body->section_count);
    return TRP_OK;
}

static trp_err
add_deadline(struct tri_proc *proc, const struct tri_submit *submit, struct tri_out *out, trp_error *error)
{
    struct tri_out_more *more = tri_out_more(proc, out);
    char id[TRI_ID_TEXT_SIZE] = "";

    if (more == NULL || tri_timer_reserve(proc) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a deadline");
    more->deadline_ns = submit->deadline_ns;
    more->allowed_ns = submit->deadline_ns > proc->now_ns ? submit->deadline_ns - proc->now_ns : 0;
    (void)tri_text_copy(more->method, sizeof more->method, submit->method == NULL ? "" : submit->method);
    if (submit->actor == NULL && !tri_id_is_none(submit->target))
        (void)tri_id_format(submit->target, id);
    (void)tri_text_copy(more->name, sizeof more->name, submit->actor != NULL ? submit->actor : id);
    return TRP_OK;
}

/* Small data without references lies behind the record. */
static trp_err
out_make(struct tri_proc *proc, const struct tri_submit *submit, struct tri_out **made, trp_error *error)
{
    const struct tri_section *section = &submit->body;
    const bool plain =
        section->ref_count == 0 && section->frame == NULL && section->size <= TRI_COPY_MAX && submit->trace == NULL;
    struct tri_out *out = tri_out_new(proc, submit->kind, plain ? (size_t)section->size : 0);
    trp_err err = TRP_OK;

    if (out == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a call");
    out->flags = submit->flags;
    out->priority = submit->priority;
    out->target = submit->target;
    out->parent = submit->parent;
    if (plain) {
        out->meta_size = section->meta_size;
        out->bytes = tri_envelope_size(section, 1);
        if (section->size > 0)
            memcpy(out + 1, section->data, (size_t)section->size);
    } else {
        err = add_body(proc, submit, out, error);
    }
    if (err == TRP_OK && submit->deadline_ns != TRI_NEVER)
        err = add_deadline(proc, submit, out, error);
    if (err != TRP_OK)
        tri_out_discard(proc, &out);
    else
        *made = out;
    return err;
}

static trp_err
name_actor(struct tri_proc *proc, struct tri_out *out, trp_error *error)
{
    struct tri_ref *actor = tri_ref_find(proc, out->target);

    if (actor == NULL || actor->out != NULL || actor->shared)
        return TRI_FAIL(error, TRP_EINVAL, "the id of a new actor has to be new");
    out->actor = actor;
    return TRP_OK;
}

/* Names: the result, the lane, the actor that is made. */
static trp_err
out_name(struct tri_proc *proc, struct tri_out *out, struct tri_ref **ref, trp_error *error)
{
    bool in_lane = out->kind == TRI_CALL && !tri_id_is_none(out->target);

    if (in_lane) {
        out->lane = tri_lane_out(proc, out->target);
        if (out->lane == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a lane");
    }
    if (out->kind == TRI_SPAWN)
        TRP_TRY(name_actor(proc, out, error));
    if (ref != NULL) {
        out->ref = tri_ref_make(proc, (struct tri_id){proc->space, proc->next_number + 1}, false);
        if (out->ref == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a reference");
        proc->next_number++;
        out->ref->handles = 1;
        out->ref->out = out;
        out->ref->own_call = true;
        *ref = out->ref;
    }
    if (out->actor != NULL)
        out->actor->out = out;
    if (in_lane)
        out->sequence = ++out->lane->sequence;
    return TRP_OK;
}

static void
out_enqueue(struct tri_proc *proc, struct tri_out *out)
{
    if (out->lane != NULL && out->ref == NULL) {
        if (out->lane->last_one_way != NULL)
            out->lane->last_one_way->next_one_way = out;
        else
            out->lane->first_one_way = out;
        out->lane->last_one_way = out;
    }
    if (out->ref != NULL && out->more != NULL && out->more->deadline_ns != TRI_NEVER)
        tri_timer_add(proc, out);
    proc->out_count++;
    tri_out_append(proc, out);
    if (proc->unposted != &proc->outs)
        tri_outs_pump(proc);
}

trp_err
tri_proc_submit(struct tri_proc *proc, const struct tri_submit *submit, bool nowait, uint64_t now_ns,
                struct tri_ref **ref, bool *queued, trp_error *error)
{
    bool full = proc->unposted != &proc->outs;
    struct tri_out *out;
    trp_err err;

    proc->now_ns = now_ns;
    if (proc->gone) {
        if (error != NULL)
            *error = proc->gone_why;
        return proc->gone_why.code;
    }
    if (proc->space == 0)
        return TRI_FAIL(error, TRP_EBROKER, "this process is not logged in");
    TRP_TRY(out_make(proc, submit, &out, error));
    if (nowait && (full || (tri_out_credited(out->kind) && !proc->ops.has_credit(proc->ops.user, out->bytes)))) {
        tri_out_discard(proc, &out);
        return TRI_FAIL(error, TRP_EAGAIN, "%llu calls wait for the broker's credit",
                        (unsigned long long)proc->queued_count + 1);
    }
    if (out->kind == TRI_CALL && ref == NULL)
        out->flags |= TRI_ONE_WAY;
    err = out_name(proc, out, ref, error);
    if (err != TRP_OK) {
        tri_out_discard(proc, &out);
        return err;
    }
    out_enqueue(proc, out);
    if (queued != NULL)
        *queued = proc->unposted != &proc->outs;
    return TRP_OK;
}

bool
tri_proc_room(const struct tri_proc *proc)
{
    return proc->queued_count < TRI_QUEUED_CALLS_MAX && proc->queued_bytes < TRI_QUEUED_BYTES_MAX;
}

/* ---------------------------------------------------------------------------------------------------- private things */

static trp_err
make_own(struct tri_proc *proc, bool is_actor, struct tri_ref **ref, trp_error *error)
{
    if (proc->space == 0)
        return TRI_FAIL(error, TRP_EBROKER, "this process is not logged in");
    *ref = tri_ref_make(proc, (struct tri_id){proc->space, proc->next_number + 1}, is_actor);
    if (*ref == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a reference");
    proc->next_number++;
    (*ref)->handles = 1;
    return TRP_OK;
}

trp_err
tri_proc_actor_new(struct tri_proc *proc, struct tri_ref **actor, trp_error *error)
{
    return make_own(proc, true, actor, error);
}

trp_err
tri_proc_put(struct tri_proc *proc, const struct tri_packed *packed, struct tri_ref **ref, trp_error *error)
{
    struct tri_ref *made;
    trp_err err;

    TRP_TRY(tri_refs_hold(proc, &packed->section, error));
    err = make_own(proc, false, &made, error);
    if (err != TRP_OK) {
        tri_refs_unhold(proc, &packed->section);
        return err;
    }
    err = tri_ref_set(proc, made, &packed->section, false, error);
    if (err != TRP_OK) {
        tri_refs_unhold(proc, &packed->section);
        tri_ref_drop(proc, made);
        return err;
    }
    *ref = made;
    return TRP_OK;
}

trp_err
tri_proc_publish_soon(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    return tri_ids_add(&proc->unsaid, ref->entry.id) ? TRP_OK
                                                     : TRI_FAIL(error, TRP_ENOMEM, "no memory to publish a value");
}

trp_err
tri_proc_publish(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    return tri_publish(proc, ref, error);
}

void
tri_proc_retain(struct tri_ref *ref)
{
    ref->handles++;
}

void
tri_proc_release(struct tri_ref *ref)
{
    tri_ref_drop(ref->proc, ref);
}

trp_err
tri_proc_want(struct tri_proc *proc, struct tri_ref *ref, trp_error *error)
{
    if (ref->state != TRI_REF_PENDING || ref->own_call || ref->wanted || ref->begun)
        return TRP_OK;
    if (proc->gone) {
        if (error != NULL)
            *error = proc->gone_why;
        return proc->gone_why.code;
    }
    if (!tri_ids_add(&proc->waits, ref->entry.id))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to wait");
    ref->wanted = true;
    return TRP_OK;
}

struct tri_ref *
tri_proc_find(struct tri_proc *proc, struct tri_id id)
{
    struct tri_ref *ref = tri_ref_find(proc, id);

    if (ref == NULL || ref->handles == 0)
        return NULL; /* what is only kept for the broker is not ours */
    ref->handles++;
    return ref;
}
