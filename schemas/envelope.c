/*
 * envelope.c - envelopes: the table of kinds, checking what was received, walking sections, writing. Pure; any thread.
 * It must not know what bodies say.
 *
 * In the batch: route, then for each section its head, its reference entries and, unless that is a frame, its data, padded
 * to 8.
 */
#include "schemas/schemas.h"

/* The structs are what is on the wire. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are read in place");
_Static_assert(sizeof(struct tri_route) == 96, "wire layout");
_Static_assert(sizeof(struct tri_section_head) == 24, "wire layout");
_Static_assert(sizeof(struct tri_ref_entry) == 40, "wire layout");
_Static_assert(sizeof(struct tri_wire_node) == 16, "wire layout");

enum { META_MAX = 1 << 28, ARGUMENT_MAX = TRI_SECTIONS_MAX - 1 };

static const struct kind {
    const char *name;
    uint16_t flags; /* that may be set */
    uint16_t section_min, section_max;
    bool arguments; /* its entries may be top-level ones */
} kinds[TRI_KIND_COUNT] = {
    [TRI_HELLO] = {"HELLO", 0, 1, 1, false},
    [TRI_WELCOME] = {"WELCOME", 0, 1, 1, false},
    [TRI_CUT] = {"CUT", TRI_FAILED, 1, 1, false},
    [TRI_SNAPSHOT] = {"SNAPSHOT", TRI_LAST, 0, 1, false},
    [TRI_GOODBYE] = {"GOODBYE", 0, 0, 0, false},
    [TRI_PING] = {"PING", 0, 0, 0, false},
    [TRI_PONG] = {"PONG", 0, 0, 0, false},
    [TRI_CALL] = {"CALL", TRI_ONE_WAY | TRI_TASK | TRI_IN_PLACE | TRI_NO_RETRY | TRI_RETRIED, 1, TRI_SECTIONS_MAX,
                  true},
    [TRI_RESULT] = {"RESULT", TRI_FAILED, 1, 1, false},
    [TRI_ACCEPTED] = {"ACCEPTED", 0, 0, 1, false},
    [TRI_CANCEL] = {"CANCEL", 0, 1, 1, false},
    [TRI_RECALL] = {"RECALL", 0, 0, 0, false},
    [TRI_RETURNED] = {"RETURNED", 0, 1, 1, false},
    [TRI_BLOCKED] = {"BLOCKED", TRI_ANY, 1, 1, false},
    [TRI_UNBLOCKED] = {"UNBLOCKED", 0, 0, 0, false},
    [TRI_DEADLOCK] = {"DEADLOCK", TRI_FAILED, 1, 1, false},
    [TRI_STARTED] = {"STARTED", 0, 0, 0, false},
    [TRI_PUT] = {"PUT", TRI_FAILED | TRI_FETCHED, 1, 1, false},
    [TRI_WAIT] = {"WAIT", 0, 1, 1, false},
    [TRI_RELEASE] = {"RELEASE", 0, 1, 1, false},
    [TRI_FREED] = {"FREED", 0, 1, 1, false},
    [TRI_FETCH] = {"FETCH", 0, 1, 1, false},
    [TRI_SPAWN] = {"SPAWN", TRI_RETRIED, 1, TRI_SECTIONS_MAX, true},
    [TRI_CREATE] = {"CREATE", 0, 1, TRI_SECTIONS_MAX, true},
    [TRI_READY] = {"READY", TRI_FAILED, 0, 1, false},
    [TRI_STOP] = {"STOP", TRI_DRAIN, 0, 0, false},
    [TRI_ENDED] = {"ENDED", 0, 0, 0, false},
    [TRI_KILL] = {"KILL", 0, 1, 1, false},
    [TRI_LOOKUP] = {"LOOKUP", 0, 1, 1, false},
    [TRI_WATCH] = {"WATCH", 0, 1, 1, false},
    [TRI_MODULE] = {"MODULE", 0, 1, 1, false},
    [TRI_QUERY] = {"QUERY", 0, 1, 1, false},
    [TRI_LOG] = {"LOG", 0, 1, 1, false},
};

const char *
tri_kind_name(uint8_t kind)
{
    return kind < TRI_KIND_COUNT && kinds[kind].name != NULL ? kinds[kind].name : "?";
}

/* Bytes of a section in the batch. */
static size_t
section_size(uint64_t size, uint32_t ref_count)
{
    size_t data = size > TRI_COPY_MAX ? 0 : tri_pad8((size_t)size);
    return sizeof(struct tri_section_head) + ref_count * sizeof(struct tri_ref_entry) + data;
}

/* ---------------------------------------------------------------------------------------------------------- checking */

static trp_err
check_route(const struct tri_route *route, size_t available, trp_error *error)
{
    if (route->version != TRI_WIRE_VERSION)
        return TRI_FAIL(error, TRP_EPROTO, "an envelope of version %u; this is version %d", route->version,
                        TRI_WIRE_VERSION);
    if (route->kind >= TRI_KIND_COUNT || kinds[route->kind].name == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "an envelope of unknown kind %u", route->kind);
    const struct kind *kind = &kinds[route->kind];
    if ((route->flags & ~kind->flags) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with flags 0x%x", kind->name, route->flags);
    if (route->priority < -2 || route->priority > 2)
        return TRI_FAIL(error, TRP_EPROTO, "%s with priority %d; they are -2 to 2", kind->name, route->priority);
    if (route->zero8 != 0 || route->zero32 != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with unused fields that are not zero", kind->name);
    if (route->size < sizeof *route || route->size > available || route->size % 8 != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s that says it has %u bytes of %zu", kind->name, route->size, available);
    if (route->section_count < kind->section_min || route->section_count > kind->section_max)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u sections", kind->name, route->section_count);
    return TRP_OK;
}

static trp_err
check_entries(const struct kind *kind, const struct tri_ref_entry *entries, uint32_t count, bool body, trp_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct tri_ref_entry *entry = &entries[i];
        bool appended = kind->arguments && body && entry->place != TRI_NESTED; /* its value may come along instead */
        if (tri_id_is_none(entry->id) && (!appended || entry->flags != 0))
            return TRI_FAIL(error, TRP_EPROTO, "%s carries a reference without an id", kind->name);
        if ((entry->flags & ~(uint32_t)TRI_REF_ACTOR) != 0 || entry->begin != 0 || entry->end != 0)
            return TRI_FAIL(error, TRP_EPROTO, "%s carries a reference with flags 0x%x or a range", kind->name,
                            entry->flags);
        if (entry->place != TRI_NESTED && (!kind->arguments || !body || entry->place >= ARGUMENT_MAX))
            return TRI_FAIL(error, TRP_EPROTO, "%s carries a reference in place %u", kind->name, entry->place);
    }
    return TRP_OK;
}

static trp_err
check_head(const struct kind *kind, const struct tri_section_head *head, trp_error *error)
{
    if (head->zero32 != 0 || (head->flags & ~TRI_SECTION_FRAME) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with unused fields of a section that are not zero", kind->name);
    if (head->size > TRI_FRAME_MAX || head->meta_size > META_MAX || head->meta_size > head->size)
        return TRI_FAIL(error, TRP_EPROTO, "%s with a section of %llu bytes, %u of them structured", kind->name,
                        (unsigned long long)head->size, head->meta_size);
    if (head->ref_count > TRI_REFS_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u references; the limit is %d", kind->name, head->ref_count,
                        TRI_REFS_MAX);
    if ((head->flags == TRI_SECTION_FRAME) != (head->size > TRI_COPY_MAX))
        return TRI_FAIL(error, TRP_EPROTO, "%s with %llu bytes of data %s the batch", kind->name,
                        (unsigned long long)head->size, head->flags == TRI_SECTION_FRAME ? "outside of" : "in");
    return TRP_OK;
}

/* Sections: places are the body's, then each argument's at most once. */
static trp_err
check_place(const struct kind *kind, uint32_t i, uint32_t place, uint64_t seen[5], trp_error *error)
{
    if ((i == 0) != (place == 0) || place > ARGUMENT_MAX || (seen[place / 64] >> place % 64 & 1) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with section %u in place %u", kind->name, i, place);
    seen[place / 64] |= UINT64_C(1) << place % 64;
    return TRP_OK;
}

/* A right envelope as most are: one section, the body, that lies in the batch and has no entries. All that is checked of others
 * is checked here, at one go; false leaves it to them to say what is wrong. */
static bool
is_plain(const struct tri_route *route, size_t available)
{
    const struct tri_section_head *head = (const void *)(route + 1);
    if (available < sizeof *route + sizeof *head || route->kind >= TRI_KIND_COUNT || route->section_count != 1)
        return false;
    const struct kind *kind = &kinds[route->kind];
    const unsigned not_zero = route->zero8 | route->zero32 | (route->flags & ~(unsigned)kind->flags) | head->place |
                              head->ref_count | head->flags | head->zero32;
    return not_zero == 0 && route->version == TRI_WIRE_VERSION && (unsigned)(route->priority + 2) <= 4 &&
           kind->section_min <= 1 && kind->section_max >= 1 && head->size <= TRI_COPY_MAX &&
           head->meta_size <= head->size &&
           route->size == sizeof *route + sizeof *head + tri_pad8((size_t)head->size) && route->size <= available;
}

trp_err
tri_envelope_check(const uint8_t *bytes, size_t available, struct tri_buf *const *frames, uint32_t frame_count,
                   struct tri_envelope *envelope, trp_error *error)
{
    if (((uintptr_t)bytes & 7) != 0 || available < sizeof(struct tri_route))
        return TRI_FAIL(error, TRP_EPROTO, "%zu bytes where an envelope should be", available);
    const struct tri_route *route = (const void *)bytes;
    if (is_plain(route, available)) {
        *envelope = (struct tri_envelope){.route = route, .frames = frames};
        return TRP_OK;
    }
    TRP_TRY(check_route(route, available, error));
    const struct kind *kind = &kinds[route->kind];
    size_t at = sizeof *route;
    uint32_t frame = 0;
    uint64_t seen[5] = {0};
    for (uint32_t i = 0; i < route->section_count; i++) {
        const struct tri_section_head *head = (const void *)(bytes + at);
        if (route->size - at < sizeof *head)
            return TRI_FAIL(error, TRP_EPROTO, "%s is cut short", kind->name);
        TRP_TRY(check_head(kind, head, error));
        TRP_TRY(check_place(kind, i, head->place, seen, error));
        size_t size = section_size(head->size, head->ref_count);
        if (route->size - at < size)
            return TRI_FAIL(error, TRP_EPROTO, "%s is cut short", kind->name);
        TRP_TRY(check_entries(kind, (const void *)(bytes + at + sizeof *head), head->ref_count, i == 0, error));
        at += size;
        if (head->flags != TRI_SECTION_FRAME)
            continue;
        if (frame == frame_count || frames[frame]->size != head->size)
            return TRI_FAIL(error, TRP_EPROTO, "%s without its frame of %llu bytes", kind->name,
                            (unsigned long long)head->size);
        frame++;
    }
    if (at != route->size)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %zu bytes too many", kind->name, route->size - at);
    envelope->route = route;
    envelope->frames = frames;
    envelope->frame_count = frame;
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- reading */

void
tri_envelope_section(const struct tri_envelope *envelope, uint32_t i, struct tri_section *section)
{
    const uint8_t *bytes = (const uint8_t *)envelope->route + sizeof *envelope->route;
    uint32_t frame = 0;
    TRI_ASSERT(i < envelope->route->section_count);
    for (uint32_t k = 0; k < i; k++) {
        const struct tri_section_head *head = (const void *)bytes;
        frame += head->flags == TRI_SECTION_FRAME;
        bytes += section_size(head->size, head->ref_count);
    }
    const struct tri_section_head *head = (const void *)bytes;
    const struct tri_ref_entry *refs = (const void *)(bytes + sizeof *head);
    section->place = head->place;
    section->ref_count = head->ref_count;
    section->refs = head->ref_count > 0 ? refs : NULL;
    section->meta_size = head->meta_size;
    section->size = head->size;
    section->frame = head->flags == TRI_SECTION_FRAME ? envelope->frames[frame] : NULL;
    section->data = section->frame != NULL ? section->frame->data : (const uint8_t *)(refs + head->ref_count);
}

/* ----------------------------------------------------------------------------------------------------------- writing */

size_t
tri_envelope_size(const struct tri_section *sections, uint32_t section_count)
{
    size_t size = sizeof(struct tri_route);
    for (uint32_t i = 0; i < section_count; i++)
        size += section_size(sections[i].size, sections[i].ref_count);
    return size;
}

static uint8_t *
write_section(uint8_t *bytes, const struct tri_section *section)
{
    const bool is_frame = tri_section_is_frame(section);
    *(struct tri_section_head *)(void *)bytes = (struct tri_section_head){.place = section->place,
                                                                          .ref_count = (uint16_t)section->ref_count,
                                                                          .flags = is_frame ? TRI_SECTION_FRAME : 0,
                                                                          .meta_size = section->meta_size,
                                                                          .size = section->size};
    bytes += sizeof(struct tri_section_head);
    if (section->ref_count > 0)
        memcpy(bytes, section->refs, section->ref_count * sizeof *section->refs);
    bytes += section->ref_count * sizeof *section->refs;
    if (is_frame || section->size == 0)
        return bytes;
    size_t size = (size_t)section->size, padded = tri_pad8(size);
    memset(bytes + padded - 8, 0, 8); /* what the padding may be */
    memcpy(bytes, section->data, size);
    return bytes + padded;
}

void
tri_envelope_write(uint8_t *bytes, const struct tri_route *route, const struct tri_section *sections,
                   uint32_t section_count)
{
    uint8_t *at = bytes + sizeof *route;
    TRI_ASSERT(section_count <= TRI_SECTIONS_MAX);
    for (uint32_t i = 0; i < section_count; i++) {
        TRI_ASSERT(sections[i].ref_count <= TRI_REFS_MAX && sections[i].size <= TRI_FRAME_MAX);
        at = write_section(at, &sections[i]);
    }
    struct tri_route *written = (void *)bytes;
    *written = *route;
    written->version = TRI_WIRE_VERSION;
    written->section_count = (uint16_t)section_count;
    written->size = (uint32_t)(at - bytes);
}
