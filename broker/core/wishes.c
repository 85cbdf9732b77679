/*
 * wishes.c - values that have to be in the arena before something can go on: the arguments of a call that a host is to get.
 * How they get there, depot.c and its neighbours know.
 */
#include "broker/core/state.h"

struct tri_wish {
    struct tri_node link; /* core->wishes */
    struct tri_pending *call;
    struct tri_gather *gather;
    bool granted;
};

static void
wish_free(struct tri_core *core, struct tri_wish *wish)
{
    core->gathering -= wish->call->kind == TRI_CALL_TASK;
    core->tasks_changed = true; /* another one may send for its arguments */
    wish->call->wish = NULL;
    tri_depot_let_go(core->depot, &wish->gather);
    tri_list_remove(&wish->link);
    free(wish);
}

static trp_err
wish_new(struct tri_core *core, struct tri_buf *const *bufs, uint32_t count, uint64_t deadline_ns, bool is_call,
         struct tri_wish **made, trp_error *error)
{
    struct tri_wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory to restore objects");
    const trp_err err = tri_depot_gather(core->depot, bufs, count, deadline_ns, is_call, wish, &wish->gather, error);
    if (err != TRP_OK) {
        free(wish);
        return err;
    }
    tri_list_append(&core->wishes, &wish->link);
    *made = wish;
    return TRP_OK;
}

/* What it had is damaged: the object's value is that error from now on. */
static void
spoil(struct tri_core *core, struct tri_object *object, const trp_error *why)
{
    struct tri_failure failure = {.error = *why};
    tri_text_copy(failure.error.node, sizeof failure.error.node, core->node);
    failure.error.ran = TRP_RAN;
    tri_object_keeper(core, object, NULL);
    tri_object_resolve(core, object, NULL, tri_error_section(core, &failure), true, NULL, NULL);
}

static bool
spoil_if_lost(struct tri_core *core, struct tri_object *object)
{
    const trp_error *why = tri_object_stored(object) ? tri_depot_lost(object->value->sections[0].frame) : NULL;
    if (why != NULL)
        spoil(core, object, why);
    return why != NULL;
}

/* --------------------------------------------------------------------------------------------------------------- calls */

/* Adds the section's value; *absent, if it is not in the arena. */
static void
add_value(const struct tri_section *section, struct tri_buf **bufs, uint32_t *count, bool *absent)
{
    if (tri_section_place(section) == NULL)
        return;
    *absent = *absent || !tri_depot_is_here(section->frame);
    bufs[(*count)++] = section->frame;
}

/* Of all that the host would get with it. */
static uint32_t
values_of(const struct tri_pending *call, const struct tri_section *sections, uint32_t section_count,
          struct tri_buf **bufs, bool *absent)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < section_count; i++)
        add_value(&sections[i], bufs, &count, absent);
    for (uint32_t i = 0; i < call->need_count; i++)
        add_value(&call->needs[i].object->value->sections[0], bufs, &count, absent);
    return count;
}

bool
tri_call_is_here(const struct tri_core *core, const struct tri_pending *call, const struct tri_section *sections,
                 uint32_t section_count)
{
    struct tri_buf *bufs[2 * TRI_SECTIONS_MAX];
    bool absent = false;
    if (core->depot == NULL || (section_count <= 1 && call->need_count == 0))
        return true;
    if (call->wish != NULL)
        return call->wish->granted;
    (void)values_of(call, sections, section_count, bufs, &absent);
    return !absent;
}

bool
tri_call_is_gathering(const struct tri_pending *call)
{
    return call->wish != NULL && !call->wish->granted;
}

bool
tri_call_gather(struct tri_core *core, struct tri_pending *call)
{
    struct tri_buf *bufs[2 * TRI_SECTIONS_MAX];
    bool absent = false;
    trp_error why;
    const uint32_t count = values_of(call, call->parcel->sections, call->parcel->section_count, bufs, &absent);
    const trp_err err = wish_new(core, bufs, count, TRI_NEVER, true, &call->wish, &why);
    if (err != TRP_OK) {
        tri_call_fail(core, call, err, "%s", why.message);
        return false;
    }
    call->wish->call = call;
    call->missing++;
    core->gathering += call->kind == TRI_CALL_TASK;
    return true;
}

void
tri_call_ungather(struct tri_core *core, struct tri_pending *call)
{
    if (call->wish == NULL)
        return;
    call->missing -= !call->wish->granted;
    wish_free(core, call->wish);
}

static void
fail_call(struct tri_core *core, struct tri_pending *call, trp_err err, const trp_error *error)
{
    for (uint32_t i = 0; i < call->need_count; i++)
        (void)spoil_if_lost(core, call->needs[i].object);
    tri_call_ungather(core, call);
    struct tri_object *failed = tri_call_failed_need(call);
    if (failed != NULL)
        tri_call_fail_need(core, call, failed);
    else
        tri_call_fail(core, call, err, "its arguments cannot be restored: %s", error->message);
}

/* -------------------------------------------------------------------------------------------------------------- granted */

void
tri_wishes_look(struct tri_core *core)
{
    struct tri_gathered gathered;
    while (tri_depot_gathered(core->depot, &gathered)) {
        struct tri_wish *wish = gathered.user;
        if (gathered.err != TRP_OK) {
            const trp_error error = *gathered.error;
            fail_call(core, wish->call, gathered.err, &error);
        } else {
            wish->granted = true;
            wish->call->missing--;
            tri_call_proceed(core, wish->call);
        }
        tri_event_end(core);
    }
}

void
tri_wishes_fini(struct tri_core *core)
{
    while (core->wishes.next != NULL && !tri_list_empty(&core->wishes)) {
        struct tri_wish *wish = TRI_OWNER(core->wishes.next, struct tri_wish, link);
        tri_depot_let_go(core->depot, &wish->gather);
        tri_list_remove(&wish->link);
        free(wish);
    }
}

/* -------------------------------------------------------------------------------------------------------------- events */

void
tri_core_spilled(struct tri_core *core, trp_err err, const trp_error *error, uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_depot_spilled(core->depot, err, error, now_ns);
    tri_event_end(core);
}

void
tri_core_restored(struct tri_core *core, struct tri_id id, trp_err err, const trp_error *error, struct tri_id next,
                  uint64_t now_ns)
{
    tri_event_begin(core, now_ns);
    tri_depot_restored(core->depot, id, err, error, next, now_ns);
    tri_event_end(core);
}
