/*
 * handing.c - references that are handed on in a call while their values lie elsewhere. Who has them was asked for these (FETCH),
 * and the call stays here until they have come: who has its answer may go, and nothing goes with it.
 */
#include "broker/core/state.h"

/* Others than the caller are drivers that may be standing still; they lose what they have by dying only. */
static bool
is_awaited(const struct tri_pending *call, const struct tri_object *object)
{
    const struct tri_peer *source = object->value == NULL ? object->fetching : NULL;
    return source != NULL && !object->open && (source == call->caller || source->host != NULL);
}

/* What was asked for and has not come, of all that the call names, itself or in the values of that. NULL: nothing. The last one
 * first: answers come in the order in which they were asked for. */
static struct tri_object *
asked_for(struct tri_core *core, const struct tri_pending *call)
{
    const struct tri_refs *refs = call->refs;
    struct tri_thing *work = NULL;
    core->mark++;
    for (;;) {
        for (uint32_t i = refs != NULL ? refs->count : 0; i-- > 0;) {
            struct tri_thing *thing = refs->uses[i].thing;
            struct tri_object *object = tri_as_object(thing);
            if (object == NULL || thing->mark == core->mark)
                continue;
            if (is_awaited(call, object))
                return object;
            thing->mark = core->mark;
            thing->search_next = work;
            work = thing;
        }
        if (work == NULL)
            return NULL;
        refs = tri_as_object(work)->contains;
        work = work->search_next;
    }
}

/* The call waits for one of them after another, in its last need. */
void
tri_handing_look(struct tri_core *core, struct tri_pending *call)
{
    struct tri_need *need = &call->needs[call->need_count];
    struct tri_object *object = core->fetching > 0 ? asked_for(core, call) : NULL;
    if (need->object != NULL) {
        need->object->wanted--;
        tri_settle(core, &need->object->thing);
    }
    *need = (struct tri_need){.call = call, .object = object, .place = TRI_NESTED, .missing = object != NULL};
    if (object == NULL)
        return;
    object->wanted++;
    call->missing++;
    tri_list_append(&object->needs, &need->link);
}
