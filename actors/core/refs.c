/*
 * refs.c - references of a process: the table, handles, holds at the broker, values. Under the process's lock. It must not
 * know which envelope brought a value or will carry one.
 */
#include "actors/core/state.h"

struct tri_ref *
tri_ref_find(const struct tri_proc *proc, struct tri_id id)
{
    struct tri_entry *entry = tri_table_find(&proc->refs, id);

    return entry == NULL ? NULL : TRI_OWNER(entry, struct tri_ref, entry);
}

struct tri_ref *
tri_ref_make(struct tri_proc *proc, struct tri_id id, bool is_actor)
{
    struct tri_ref *ref;

    if (tri_table_reserve(&proc->refs, 1) != TRP_OK)
        return NULL;
    ref = proc->ops.ref_new(proc->ops.user, is_actor);
    if (ref == NULL)
        return NULL;
    ref->entry.id = id;
    ref->entry.next = NULL;
    ref->proc = proc;
    ref->handles = 0;
    ref->state = is_actor ? TRI_REF_READY : TRI_REF_PENDING;
    ref->is_actor = is_actor;
    ref->shared = ref->wanted = ref->kept = ref->returned = ref->own_call = ref->local = ref->resident = false;
    ref->asked = false;
    ref->handed = 0;
    memset(&ref->value, 0, sizeof ref->value);
    ref->value_buf = NULL;
    ref->value_refs = NULL;
    ref->out = NULL;
    tri_table_insert(&proc->refs, &ref->entry);
    proc->value_count += !is_actor;
    return ref;
}

struct tri_ref *
tri_ref_adopt(struct tri_proc *proc, const struct tri_ref_entry *entry)
{
    struct tri_ref *ref = tri_ref_find(proc, entry->id);

    if (ref == NULL)
        ref = tri_kept_take(proc, entry->id);
    if (ref == NULL)
        ref = tri_ref_make(proc, entry->id, (entry->flags & TRI_REF_ACTOR) != 0);
    if (ref == NULL)
        return NULL;
    ref->shared = true;
    ref->handed++;
    ref->handles++;
    return ref;
}

/* ---------------------------------------------------------------------------------------------------------- the end */

static void
give_back(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->handed == 0)
        return;
    if (proc->release_count == TRI_RELEASES_MAX)
        tri_post_releases(proc);
    proc->releases[proc->release_count++] = (struct tri_release){.id = ref->entry.id, .handed = ref->handed};
    ref->handed = 0;
}

static void
drop_value(struct tri_proc *proc, struct tri_ref *ref)
{
    for (uint32_t i = 0; i < ref->value.ref_count; i++) {
        struct tri_ref *inner = tri_ref_find(proc, ref->value_refs[i].id);
        if (inner != NULL)
            tri_ref_drop(proc, inner);
    }
    tri_memory_put(&proc->memory, ref->value_refs, ref->value.ref_count * sizeof *ref->value_refs);
    ref->value_refs = NULL;
    tri_buf_release(&ref->value_buf);
    memset(&ref->value, 0, sizeof ref->value);
}

/* One after another, however long the chain of values inside of values is. */
static void
reap(struct tri_proc *proc)
{
    if (proc->reaping)
        return;
    proc->reaping = true;
    while (proc->dying != NULL) {
        struct tri_ref *ref = proc->dying;
        proc->dying = ref->entry.next == NULL ? NULL : TRI_OWNER(ref->entry.next, struct tri_ref, entry);
        ref->entry.next = NULL;
        drop_value(proc, ref);
        proc->ops.ref_free(proc->ops.user, ref);
    }
    proc->reaping = false;
}

void
tri_ref_look(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->handles > 0 || ref->out != NULL || ref->kept || ref->resident)
        return;
    tri_table_remove(&proc->refs, &ref->entry);
    proc->value_count -= !ref->is_actor;
    ref->entry.next = proc->dying == NULL ? NULL : &proc->dying->entry;
    proc->dying = ref;
    reap(proc);
}

void
tri_ref_drop(struct tri_proc *proc, struct tri_ref *ref)
{
    TRI_ASSERT(ref->handles > 0);
    if (--ref->handles > 0)
        return;
    ref->wanted = false;
    give_back(proc, ref);
    if (ref->out != NULL && ref->out->accepted && ref->out->ref == ref)
        tri_out_end(proc, ref->out); /* it runs over there; nobody here waits for it */
    else
        tri_ref_look(proc, ref);
}

void
tri_refs_let_go(struct tri_proc *proc, struct tri_ref ***refs, uint32_t *count)
{
    struct tri_ref **had = *refs;
    uint32_t n = *count;

    *refs = NULL;
    *count = 0;
    for (uint32_t i = 0; i < n; i++)
        tri_ref_drop(proc, had[i]);
    tri_memory_put(&proc->memory, had, n * sizeof(struct tri_ref *));
}

/* ------------------------------------------------------------------------------------------------------------ values */

static struct tri_buf *
own_data(struct tri_proc *proc, const struct tri_section *section)
{
    if (section->frame != NULL)
        return tri_buf_retain(section->frame);
    return tri_memory_buf(&proc->memory, section->data, section->size);
}

trp_err
tri_ref_set(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, bool failed,
            trp_error *error)
{
    struct tri_ref_entry *entries = NULL;
    struct tri_buf *buf = own_data(proc, section);

    if (section->ref_count > 0)
        entries = tri_memory_take(&proc->memory, section->ref_count * sizeof *entries);
    if (buf == NULL || (section->ref_count > 0 && entries == NULL)) {
        tri_buf_release(&buf);
        tri_memory_put(&proc->memory, entries, section->ref_count * sizeof *entries);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a value of %llu bytes", (unsigned long long)section->size);
    }
    for (uint32_t i = 0; i < section->ref_count; i++) {
        entries[i] = section->refs[i];
        entries[i].place = TRI_NESTED;
    }
    ref->value = *section;
    ref->value.place = 0;
    ref->value.refs = entries;
    ref->value.data = section->frame != NULL ? section->data : buf->data;
    ref->value.frame = section->frame != NULL || section->size > TRI_COPY_MAX ? buf : NULL;
    ref->value_buf = buf;
    ref->value_refs = entries;
    ref->state = failed ? TRI_REF_FAILED : TRI_REF_READY;
    return TRP_OK;
}

void
tri_ref_fail(struct tri_proc *proc, struct tri_ref *ref, const struct tri_failure *failure)
{
    ref->local = true;
    /* Without memory for the text it fails without one: an empty section, which unpacks to nothing. */
    if (tri_error_pack(&proc->packed, failure, NULL) != TRP_OK ||
        tri_ref_set(proc, ref, &proc->packed.section, true, NULL) != TRP_OK)
        ref->state = TRI_REF_FAILED;
}

void
tri_ref_announce(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->handles > 0)
        proc->ops.ready(proc->ops.user, ref);
}

void
tri_ref_carried(struct tri_proc *proc, struct tri_ref *ref)
{
    ref->shared = true;
    if (ref->handed == 0 && ref->entry.id.space == proc->space)
        ref->handed = 1;
}

/* ------------------------------------------------------------------------------------------------ what sections name */

trp_err
tri_refs_hold(struct tri_proc *proc, const struct tri_section *section, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];

    for (uint32_t i = 0; i < section->ref_count; i++)
        if (tri_table_find(&proc->refs, section->refs[i].id) == NULL)
            return TRI_FAIL(error, TRP_EINVAL, "the value names %s, of which this process has no handle",
                            tri_id_format(section->refs[i].id, text));
    for (uint32_t i = 0; i < section->ref_count; i++)
        tri_ref_find(proc, section->refs[i].id)->handles++;
    return TRP_OK;
}

void
tri_refs_unhold(struct tri_proc *proc, const struct tri_section *section)
{
    for (uint32_t i = 0; i < section->ref_count; i++)
        tri_ref_drop(proc, tri_ref_find(proc, section->refs[i].id));
}

/* Whether this entry makes us a holder. */
static bool
hands_over(const struct tri_ref_entry *entry, bool arguments)
{
    if (tri_id_is_none(entry->id))
        return false;
    return !arguments || entry->place == TRI_NESTED || (entry->flags & TRI_REF_ACTOR) != 0;
}

static uint32_t
count_handed(const struct tri_envelope *envelope, bool call)
{
    struct tri_section section;
    uint32_t count = 0;

    for (uint32_t i = 0; i < envelope->route->section_count; i++) {
        tri_envelope_section(envelope, i, &section);
        for (uint32_t k = 0; k < section.ref_count; k++)
            count += hands_over(&section.refs[k], call && i == 0);
    }
    return count;
}

trp_err
tri_refs_adopt(struct tri_proc *proc, const struct tri_envelope *envelope, bool call, struct tri_ref ***refs,
               uint32_t *count, trp_error *error)
{
    uint32_t wanted = envelope->route->section_count == 0 ? 0 : count_handed(envelope, call);
    struct tri_section section;

    *refs = NULL;
    *count = 0;
    if (wanted == 0)
        return TRP_OK;
    *refs = tri_memory_take(&proc->memory, wanted * sizeof(struct tri_ref *));
    if (*refs == NULL || tri_table_reserve(&proc->refs, wanted) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u references", wanted);
    for (uint32_t i = 0; i < envelope->route->section_count; i++) {
        tri_envelope_section(envelope, i, &section);
        for (uint32_t k = 0; k < section.ref_count; k++) {
            if (!hands_over(&section.refs[k], call && i == 0))
                continue;
            (*refs)[*count] = tri_ref_adopt(proc, &section.refs[k]);
            if ((*refs)[*count] == NULL)
                return TRI_FAIL(error, TRP_ENOMEM, "no memory for a reference");
            (*count)++;
        }
    }
    return TRP_OK;
}
