/*
 * refs.c - references of a process: finding them, handles, holds at the broker, values. Under the process's lock. It must not
 * know which envelope brought a value or will carry one.
 */
#include "actors/core/state.h"

struct tri_ref *
tri_ref_find(struct tri_proc *proc, struct tri_id id)
{
    struct tri_entry *entry;

    if (id.space == proc->space)
        return tri_own_find(&proc->own, id.number);
    entry = tri_table_find(&proc->refs, id);
    return entry == NULL ? NULL : TRI_OWNER(entry, struct tri_ref, entry);
}

static trp_err
insert(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->entry.id.space == proc->space)
        return tri_own_insert(&proc->own, &proc->memory, ref);
    TRP_TRY(tri_table_reserve(&proc->refs, 1));
    tri_table_insert(&proc->refs, &ref->entry);
    return TRP_OK;
}

static void
forget(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->entry.id.space == proc->space)
        tri_own_remove(&proc->own, &proc->memory, ref->entry.id.number);
    else
        tri_table_remove(&proc->refs, &ref->entry);
}

struct each {
    void (*visit)(struct tri_ref *ref, void *user);
    void *user;
};

static void
visit_entry(struct tri_entry *entry, void *user)
{
    const struct each *each = user;

    each->visit(TRI_OWNER(entry, struct tri_ref, entry), each->user);
}

void
tri_refs_each(struct tri_proc *proc, void (*visit)(struct tri_ref *ref, void *user), void *user)
{
    struct each each = {visit, user};

    tri_table_each(&proc->refs, visit_entry, &each);
    tri_own_each(&proc->own, &proc->memory, visit, user);
}

struct tri_ref *
tri_ref_make(struct tri_proc *proc, struct tri_id id, bool is_actor)
{
    struct tri_ref *ref = proc->ops.ref_new(proc->ops.user, is_actor);

    if (ref == NULL)
        return NULL;
    ref->entry = (struct tri_entry){.id = id};
    ref->proc = proc;
    ref->handles = 0;
    ref->state = is_actor ? TRI_REF_READY : TRI_REF_PENDING;
    ref->is_actor = is_actor;
    ref->shared = ref->wanted = ref->kept = ref->returned = ref->own_call = ref->local = ref->resident = false;
    ref->asked = ref->unrun = ref->seen = ref->cancelled = ref->absent = ref->begun = false;
    ref->handed = 0;
    ref->held = NULL;
    ref->out = NULL;
    if (insert(proc, ref) != TRP_OK) {
        proc->ops.ref_free(proc->ops.user, ref);
        return NULL;
    }
    proc->value_count += !is_actor;
    return ref;
}

/* A reference that came in an envelope: handed over once more, and one more handle. NULL: no memory. */
static struct tri_ref *
adopt(struct tri_proc *proc, const struct tri_ref_entry *entry)
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
    if (proc->release_count == 0 ||
        !tri_run_takes(&proc->releases[proc->release_count - 1], ref->entry.id, ref->handed)) {
        if (proc->release_count == TRI_RELEASES_MAX)
            tri_post_releases(proc);
        proc->releases[proc->release_count++] =
            (struct tri_run){.id = ref->entry.id, .count = 1, .handed = ref->handed};
    }
    ref->handed = 0;
}

static void
put_held(struct tri_buf *buf)
{
    struct tri_held *held = TRI_OWNER(buf, struct tri_held, buf);
    struct tri_memory *memory = buf->foreign;

    tri_buf_release(&held->frame);
    tri_memory_put(memory, held, buf->size);
}

void
tri_held_drop(struct tri_proc *proc, struct tri_held *held)
{
    struct tri_buf *buf = &held->buf;

    for (uint32_t i = 0; i < held->section.ref_count; i++) {
        struct tri_ref *inner = tri_ref_find(proc, held->entries[i].id);
        if (inner != NULL)
            tri_ref_drop(proc, inner);
    }
    if (atomic_load_explicit(&buf->references, memory_order_relaxed) == 1)
        put_held(buf); /* its block is never shared beyond the lock */
    else
        tri_buf_release(&buf);
}

static void
free_ref(struct tri_proc *proc, struct tri_ref *ref)
{
    struct tri_held *held = ref->held;

    proc->ops.ref_free(proc->ops.user, ref);
    if (held != NULL)
        tri_held_drop(proc, held);
}

/* One after another, however long the chain of values inside of values is. */
static void
reap(struct tri_proc *proc, struct tri_ref *ref)
{
    if (proc->reaping) {
        ref->entry.next = proc->dying == NULL ? NULL : &proc->dying->entry;
        proc->dying = ref;
        return;
    }
    proc->reaping = true;
    free_ref(proc, ref);
    while (proc->dying != NULL) {
        ref = proc->dying;
        proc->dying = ref->entry.next == NULL ? NULL : TRI_OWNER(ref->entry.next, struct tri_ref, entry);
        free_ref(proc, ref);
    }
    proc->reaping = false;
}

void
tri_ref_look(struct tri_proc *proc, struct tri_ref *ref)
{
    if (ref->handles > 0 || ref->out != NULL || ref->kept || ref->resident)
        return;
    forget(proc, ref);
    proc->value_count -= !ref->is_actor;
    proc->begun -= ref->begun;
    reap(proc, ref);
}

void
tri_ref_end(struct tri_proc *proc, struct tri_ref *ref)
{
    struct tri_buf *buf = ref->held == NULL ? NULL : &ref->held->buf;

    forget(proc, ref);
    proc->ops.ref_free(proc->ops.user, ref);
    tri_buf_release(&buf);
}

void
tri_ref_drop(struct tri_proc *proc, struct tri_ref *ref)
{
    TRI_ASSERT(ref->handles > 0);
    if (--ref->handles > 0)
        return;
    ref->wanted = false;
    give_back(proc, ref);
    if (ref->out != NULL && ref->out->ref == ref && (ref->out->accepted || ref->out->kind == TRI_WATCH))
        tri_out_end(proc, ref->out); /* it runs over there; nobody here waits for it. A watch ends with its RELEASE */
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

enum { HELD_HEAD = (sizeof(struct tri_held) + 15) & ~(size_t)15 }; /* data is 16-byte aligned */

/* A small value's data is copied behind the record, a frame is retained; large data that is none becomes one. */
static struct tri_held *
new_held(struct tri_proc *proc, const struct tri_section *section)
{
    const bool small = section->frame == NULL && section->size <= TRI_COPY_MAX;
    const size_t data_size = small ? tri_pad8((size_t)section->size) : 0;
    const size_t size = HELD_HEAD + data_size + section->ref_count * sizeof(struct tri_ref_entry);
    struct tri_held *held = tri_memory_take(&proc->memory, size);
    uint8_t *data = (uint8_t *)held + HELD_HEAD;

    if (held == NULL)
        return NULL;
    held->buf = (struct tri_buf){.data = data, .size = size, .free = put_held, .foreign = &proc->memory};
    atomic_init(&held->buf.references, 1);
    held->frame = NULL;
    if (section->frame != NULL)
        held->frame = tri_buf_retain(section->frame);
    else if (!small)
        held->frame = tri_buf_copy(section->data, (size_t)section->size);
    if (!small && held->frame == NULL) {
        tri_memory_put(&proc->memory, held, size);
        return NULL;
    }
    held->section = *section;
    held->section.place = 0;
    held->section.frame = held->frame;
    held->section.data = section->frame != NULL ? section->data : small ? data : held->frame->data;
    if (small && section->size > 0)
        memcpy(data, section->data, (size_t)section->size);
    held->entries = section->ref_count == 0 ? NULL : (struct tri_ref_entry *)(void *)(data + data_size);
    held->section.refs = held->entries;
    held->open = held->pinned = false;
    return held;
}

trp_err
tri_ref_set(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, bool failed,
            trp_error *error)
{
    struct tri_held *held = new_held(proc, section);

    if (held == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a value of %llu bytes", (unsigned long long)section->size);
    for (uint32_t i = 0; i < section->ref_count; i++) {
        held->entries[i] = section->refs[i];
        held->entries[i].place = TRI_NESTED;
    }
    ref->held = held;
    ref->state = failed ? TRI_REF_FAILED : TRI_REF_READY;
    return TRP_OK;
}

trp_err
tri_ref_correct(struct tri_proc *proc, struct tri_ref *ref, const struct tri_section *section, trp_error *error)
{
    struct tri_held *had = ref->held;

    if (had == NULL || had->open)
        return TRP_OK;
    TRP_TRY(tri_ref_set(proc, ref, section, true, error));
    tri_held_drop(proc, had);
    return TRP_OK;
}

bool
tri_ref_is_in(struct tri_proc *proc, const struct tri_ref *own, const struct tri_section *section)
{
    struct tri_ref **found = NULL;
    size_t count = 0, capacity = 0;
    bool is_in = false;

    for (size_t next = 0; section != NULL && !is_in; next++) {
        for (uint32_t i = 0; i < section->ref_count && !is_in; i++) {
            struct tri_ref *ref = tri_ref_find(proc, section->refs[i].id);
            is_in = ref == own;
            if (ref == NULL || is_in || ref->seen || ref->held == NULL || !TRI_RESERVE(found, capacity, count + 1))
                continue; /* without memory the broker finds it, too */
            ref->seen = true;
            found[count++] = ref;
        }
        section = next < count ? tri_ref_value(found[next]) : NULL;
    }
    while (count > 0)
        found[--count]->seen = false;
    free(found);
    return is_in;
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
        if (tri_ref_find(proc, section->refs[i].id) == NULL)
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

    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
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
    uint32_t wanted = envelope->route.section_count == 0 ? 0 : count_handed(envelope, call);
    struct tri_section section;

    *refs = NULL;
    *count = 0;
    if (wanted == 0)
        return TRP_OK;
    *refs = tri_memory_take(&proc->memory, wanted * sizeof(struct tri_ref *));
    if (*refs == NULL || tri_table_reserve(&proc->refs, wanted) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u references", wanted);
    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
        tri_envelope_section(envelope, i, &section);
        for (uint32_t k = 0; k < section.ref_count; k++) {
            if (!hands_over(&section.refs[k], call && i == 0))
                continue;
            (*refs)[*count] = adopt(proc, &section.refs[k]);
            if ((*refs)[*count] == NULL)
                return TRI_FAIL(error, TRP_ENOMEM, "no memory for a reference");
            (*count)++;
        }
    }
    return TRP_OK;
}
