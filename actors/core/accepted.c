/*
 * accepted.c - a call at its host from when it is accepted until nobody needs its result: its record, what it returns, what is
 * kept of that. Under the process's lock. It must not know which calls are accepted (incoming.c), nor how methods are run.
 */
#include "actors/core/state.h"

enum { ROOM_MIN = 192 }; /* for the data of a call: so that most results fit in their place */

/* ------------------------------------------------------------------------------------------------------ accepted calls */

struct tri_accepted *
tri_accepted_of(struct tri_incoming *call)
{
    return TRI_OWNER(call, struct tri_accepted, call);
}

/* It is over for the broker. */
static void
leave(struct tri_proc *proc, struct tri_accepted *accepted)
{
    tri_list_remove(&accepted->link);
    proc->incoming_count--;
    if (!proc->ending && accepted->credited)
        proc->ops.release(proc->ops.user, accepted->call.bytes);
}

/* What a call had while it ran. */
static void
let_go(struct tri_proc *proc, struct tri_accepted *accepted)
{
    if (accepted->answered)
        tri_list_remove(&accepted->link);
    else
        leave(proc, accepted);
    for (uint32_t i = 0; i < accepted->call.section_count; i++)
        if (accepted->sections[i].frame != NULL)
            tri_buf_release(&accepted->sections[i].frame);
    if (accepted->ref_count > 0)
        tri_refs_let_go(proc, &accepted->refs, &accepted->ref_count);
}

void
tri_accepted_end(struct tri_proc *proc, struct tri_accepted *accepted)
{
    if (!accepted->one_way && !accepted->answered)
        tri_table_remove(&proc->calls, &accepted->call.entry);
    let_go(proc, accepted);
    tri_memory_put(&proc->memory, accepted, accepted->block_size);
}

/* The mark of a traced call goes behind the sections that are arguments. */
static void
part_mark(struct tri_incoming *call, struct tri_section *sections)
{
    for (uint32_t i = 1; i < call->section_count; i++) {
        const struct tri_section mark = sections[i];
        if (mark.place != TRI_PLACE_TRACE)
            continue;
        call->section_count--;
        memmove(&sections[i], &sections[i + 1], (call->section_count - i) * sizeof *sections);
        sections[call->section_count] = mark;
        call->trace = &sections[call->section_count];
        return;
    }
}

trp_err
tri_accept(struct tri_proc *proc, const struct tri_envelope *envelope, struct tri_lane_in *lane, struct tri_ref **refs,
           uint32_t ref_count, trp_error *error)
{
    const struct tri_route *route = &envelope->route;
    const size_t room = tri_envelope_room(envelope);
    const size_t size = sizeof(struct tri_accepted) + route->section_count * sizeof(struct tri_section) +
                        (room > ROOM_MIN ? room : ROOM_MIN);
    struct tri_accepted *accepted = tri_memory_take(&proc->memory, size);

    if (accepted == NULL || tri_table_reserve(&proc->calls, 1) != TRP_OK) {
        tri_memory_put(&proc->memory, accepted, size);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a call");
    }
    accepted->call.priority = route->priority;
    accepted->call.started = false;
    accepted->call.cancelled = TRI_GOES_ON;
    accepted->call.in_place = (route->flags & TRI_IN_PLACE) != 0;
    accepted->call.caller = (struct tri_id){route->result.space, 0};
    accepted->call.deadline_ns = route->deadline_us == 0 ? TRI_NEVER : proc->now_ns + route->deadline_us * 1000;
    accepted->call.bytes = envelope->bytes;
    accepted->call.index = proc->next_index;
    accepted->block_size = size;
    accepted->refs = refs;
    accepted->lane = lane;
    accepted->ref_count = ref_count;
    accepted->one_way = (route->flags & TRI_ONE_WAY) != 0;
    accepted->task = (route->flags & TRI_TASK) != 0;
    accepted->credited = true;
    accepted->answered = accepted->kept = accepted->failed = false;
    accepted->route = *route;
    tri_envelope_keep(envelope, &accepted->sections[route->section_count], accepted->sections);
    accepted->call.route = &accepted->route;
    accepted->call.sections = accepted->sections;
    accepted->call.section_count = route->section_count;
    accepted->call.trace = NULL;
    if (route->section_count > 1)
        part_mark(&accepted->call, accepted->sections);
    accepted->call.entry.id = accepted->one_way ? (struct tri_id){0, ++proc->next_one_way} : route->result;
    if (!accepted->one_way)
        tri_table_insert(&proc->calls, &accepted->call.entry);
    tri_list_append(&proc->accepted, &accepted->link);
    proc->incoming_count++;
    if (accepted->task && tri_list_empty(&proc->resident_list)) /* an actor's host may run one in place */
        proc->pool = true;
    proc->ops.run(proc->ops.user, &accepted->call);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------- results kept in their place */

/* Most results are small values that nobody here will ask for: one of these lies where its call lay, and is no reference. */
static bool
fits_in_place(struct tri_proc *proc, const struct tri_accepted *accepted, const struct tri_section *section)
{
    const size_t room = accepted->block_size - sizeof *accepted - sizeof(struct tri_section);

    return section->ref_count == 0 && section->frame == NULL && section->size <= room &&
           accepted->block_size <= TRI_BLOCK_STEP * TRI_BLOCK_CLASSES &&
           (proc->value_count == 0 || tri_ref_find(proc, accepted->call.entry.id) == NULL);
}

static void
keep_in_place(struct tri_proc *proc, struct tri_accepted *accepted, const struct tri_section *section, bool failed)
{
    struct tri_section *value = &accepted->sections[0];

    let_go(proc, accepted);
    *value = *section;
    value->place = 0;
    value->data = memcpy(value + 1, section->data, section->size);
    accepted->failed = failed;
    accepted->kept = true;
    tri_list_append(&proc->kept, &accepted->link);
    proc->kept_count++;
}

static void
forget_kept(struct tri_proc *proc, struct tri_accepted *kept)
{
    proc->kept_near = kept->link.next;
    __builtin_prefetch(TRI_OWNER(kept->link.next, struct tri_accepted, link)); /* one of these is next */
    __builtin_prefetch(TRI_OWNER(kept->link.prev, struct tri_accepted, link));
    tri_table_remove(&proc->calls, &kept->call.entry);
    tri_list_remove(&kept->link);
    proc->kept_count--;
    tri_memory_put(&proc->memory, kept, kept->block_size);
}

static bool
is_kept_at(const struct tri_proc *proc, struct tri_node *node, struct tri_id id)
{
    return node != &proc->kept && tri_id_equal(TRI_OWNER(node, struct tri_accepted, link)->call.entry.id, id);
}

/* They are freed in the order of their returns or the other way round, mostly: so first it looks beside the last one. */
static struct tri_accepted *
find_kept(const struct tri_proc *proc, struct tri_id id)
{
    struct tri_node *near = proc->kept_near;
    struct tri_accepted *kept;
    struct tri_entry *entry;

    if (proc->kept_count == 0)
        return NULL;
    if (is_kept_at(proc, near, id))
        return TRI_OWNER(near, struct tri_accepted, link);
    if (is_kept_at(proc, near->prev, id))
        return TRI_OWNER(near->prev, struct tri_accepted, link);
    entry = tri_table_find(&proc->calls, id);
    kept = entry == NULL ? NULL : TRI_OWNER(entry, struct tri_accepted, call.entry);
    return kept != NULL && kept->kept ? kept : NULL;
}

bool
tri_kept_free(struct tri_proc *proc, struct tri_id id)
{
    struct tri_accepted *kept = find_kept(proc, id);

    if (kept == NULL)
        return false;
    forget_kept(proc, kept);
    return true;
}

void
tri_kept_fini(struct tri_proc *proc)
{
    while (!tri_list_empty(&proc->kept))
        forget_kept(proc, TRI_OWNER(proc->kept.next, struct tri_accepted, link));
}

struct tri_ref *
tri_kept_take(struct tri_proc *proc, struct tri_id id)
{
    struct tri_accepted *kept = find_kept(proc, id);
    struct tri_ref *ref = kept == NULL ? NULL : tri_ref_make(proc, id, false);

    if (ref == NULL)
        return NULL;
    if (tri_ref_set(proc, ref, &kept->sections[0], kept->failed, NULL) != TRP_OK) {
        tri_ref_look(proc, ref); /* nobody has it: it goes */
        return NULL;
    }
    ref->kept = ref->returned = true;
    forget_kept(proc, kept);
    return ref;
}

/* ------------------------------------------------------------------------------------------------------------ results */

static void
post_result(struct tri_proc *proc, const struct tri_accepted *accepted, const struct tri_section *section, bool failed)
{
    const struct tri_route route = {
        .kind = TRI_RESULT,
        .flags = failed ? TRI_FAILED : 0,
        .result = accepted->call.entry.id,
    };

    tri_post(proc, &route, section);
}

/* Keeps a result under its name until FREED. Its entries' handles become the value's. */
static trp_err
keep_result(struct tri_proc *proc, struct tri_id id, const struct tri_section *section, bool failed,
            struct tri_ref **kept, trp_error *error)
{
    struct tri_ref *ref = tri_ref_find(proc, id);
    trp_err err = TRP_OK;

    *kept = NULL;
    TRP_TRY(tri_refs_hold(proc, section, error));
    if (ref == NULL)
        ref = tri_ref_make(proc, id, false);
    if (ref == NULL)
        err = TRI_FAIL(error, TRP_ENOMEM, "no memory for a result");
    else if (ref->state == TRI_REF_PENDING)
        err = tri_ref_set(proc, ref, section, failed, error);
    else
        tri_refs_unhold(proc, section); /* known already; the broker decides which one it takes */
    if (err != TRP_OK) {
        tri_refs_unhold(proc, section);
        if (ref != NULL)
            tri_ref_look(proc, ref);
        return err;
    }
    ref->kept = ref->returned = true;
    *kept = ref;
    return TRP_OK;
}

static trp_err
publish_named(struct tri_proc *proc, const struct tri_section *section, trp_error *error)
{
    for (uint32_t i = 0; i < section->ref_count; i++)
        TRP_TRY(tri_publish(proc, tri_ref_find(proc, section->refs[i].id), error));
    return TRP_OK;
}

static trp_err
return_named(struct tri_proc *proc, struct tri_accepted *accepted, const struct tri_section *section, bool failed,
             trp_error *error)
{
    struct tri_id id = accepted->call.entry.id;
    struct tri_section said;
    struct tri_ref *ref = tri_ref_find(proc, id);

    if (ref != NULL && tri_ref_is_in(proc, ref, section)) { /* it would keep itself here, whatever the broker says */
        struct tri_failure failure = {0};
        (void)tri_fail_cycle(&failure.error);
        TRP_TRY(tri_error_pack(&proc->packed, &failure, error));
        section = &proc->packed.section;
        failed = true;
    }
    said = *section;
    TRP_TRY(keep_result(proc, id, section, failed, &ref, error));
    TRP_TRY(publish_named(proc, section, error));
    said.place = 0;
    if (said.ref_count > 0 && said.ref_count == tri_ref_value(ref)->ref_count)
        said.refs = tri_ref_value(ref)->refs; /* all nested, whatever place they were packed with */
    if (proc->has_begun)
        tri_begun_mark(proc, &said);
    for (uint32_t i = 0; i < said.ref_count; i++)
        tri_ref_carried(proc, tri_ref_find(proc, said.refs[i].id));
    post_result(proc, accepted, &said, failed);
    tri_outs_pump(proc);
    tri_ref_announce(proc, ref);
    return TRP_OK;
}

TRI_HOP trp_err
tri_proc_return(struct tri_proc *proc, struct tri_incoming *call, const struct tri_section *section, bool failed,
                trp_error *error)
{
    struct tri_accepted *accepted = tri_accepted_of(call);

    if (accepted->answered) {
        tri_accepted_end(proc, accepted);
        return TRP_OK;
    }
    if (!accepted->one_way && fits_in_place(proc, accepted, section)) {
        post_result(proc, accepted, section, failed);
        keep_in_place(proc, accepted, section, failed);
        tri_outs_pump(proc);
        return TRP_OK;
    }
    if (!accepted->one_way)
        TRP_TRY(return_named(proc, accepted, section, failed, error));
    tri_accepted_end(proc, accepted);
    return TRP_OK;
}

void
tri_proc_answer(struct tri_proc *proc, struct tri_incoming *call, const struct tri_section *section)
{
    struct tri_accepted *accepted = tri_accepted_of(call);

    if (accepted->answered || accepted->one_way || return_named(proc, accepted, section, true, NULL) != TRP_OK)
        return; /* without memory it is answered when it returns */
    tri_table_remove(&proc->calls, &call->entry);
    leave(proc, accepted);
    accepted->answered = true;
    tri_list_append(&proc->answered, &accepted->link);
}

trp_err
tri_accepted_fail(struct tri_proc *proc, struct tri_accepted *accepted, trp_err code, const char *text,
                  trp_error *error)
{
    /* A task may have been started by another host, which died. */
    const bool again = (accepted->route.flags & TRI_RETRIED) != 0;
    const struct tri_about about = {.who = "",
                                    .actor = "",
                                    .method = tri_call_method(&accepted->sections[0]),
                                    .node = proc->node,
                                    .fate = again ? "may have run on a host that died" : "was not run",
                                    .ran = again ? TRP_MAY_HAVE_RUN : TRP_NOT_RUN,
                                    .is_task = accepted->task};
    struct tri_failure failure = {0};

    tri_about_refused(&failure.error, code, &about, text);
    TRP_TRY(tri_error_pack(&proc->packed, &failure, error));
    return tri_proc_return(proc, &accepted->call, &proc->packed.section, true, error);
}

trp_err
tri_refuse_call(struct tri_proc *proc, const struct tri_envelope *envelope, bool late, trp_error *error)
{
    const struct tri_route route = {.kind = TRI_RESULT, .flags = TRI_FAILED, .result = envelope->route.result};
    struct tri_failure failure = {0};
    struct tri_ref *ref;

    if ((envelope->route.flags & TRI_ONE_WAY) != 0)
        return TRP_OK;
    if (late)
        (void)TRI_FAIL(&failure.error, TRP_ECANCELLED,
                       "the broker had failed the call before it died; later ones have run");
    else
        (void)TRI_FAIL(&failure.error, TRP_EACTORDIED,
                       "the actor that was called does not live in this process any more");
    TRP_TRY(tri_error_pack(&proc->packed, &failure, error));
    TRP_TRY(keep_result(proc, envelope->route.result, &proc->packed.section, true, &ref, error));
    tri_post(proc, &route, &proc->packed.section);
    return TRP_OK;
}
