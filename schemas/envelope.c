/*
 * envelope.c - envelopes: the table of kinds, checking what was received, walking sections, writing. Pure; any thread.
 * It must not know what bodies say.
 *
 * In the batch: the route's head, what of the route is not 0, then for each section its head, its reference entries and,
 * unless that is a frame, its data, padded to 8.
 */
#include "schemas/schemas.h"

/* The structs are what is on the wire. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are read in place");
_Static_assert(sizeof(struct tri_route_head) == 16, "wire layout");
_Static_assert(sizeof(struct tri_section_head) == 16, "wire layout");
_Static_assert(sizeof(struct tri_ref_entry) == 40, "wire layout");
_Static_assert(sizeof(struct tri_wire_node) == 16, "wire layout");

enum {
    META_MAX = 1 << 28,
    ARGUMENT_MAX = TRI_SECTIONS_MAX - 1,
    ROUTE_SIZE = sizeof(struct tri_route_head) + 4 * sizeof(uint64_t) + 3 * sizeof(struct tri_id) /* with all parts */
};

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
    [TRI_GOODBYE] = {"GOODBYE", TRI_LENT, 0, 0, false},
    [TRI_PING] = {"PING", 0, 0, 0, false},
    [TRI_PONG] = {"PONG", 0, 0, 0, false},
    [TRI_CALL] = {"CALL", TRI_ONE_WAY | TRI_TASK | TRI_IN_PLACE | TRI_NO_RETRY | TRI_RETRIED, 1, TRI_SECTIONS_MAX,
                  true},
    [TRI_RESULT] = {"RESULT", TRI_FAILED, 1, 1, false},
    [TRI_ACCEPTED] = {"ACCEPTED", 0, 0, 1, false},
    [TRI_CANCEL] = {"CANCEL", TRI_ASKED, 1, 1, false},
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
    [TRI_SPACE] = {"SPACE", 0, 0, 0, false},
    [TRI_LEASE] = {"LEASE", TRI_FAILED, 1, 1, false},
    [TRI_GIVEN] = {"GIVEN", TRI_LAST, 1, 1, false},
    [TRI_WANT] = {"WANT", 0, 0, 0, false},
    [TRI_HERE] = {"HERE", TRI_FAILED, 1, 1, false},
    [TRI_REVOKE] = {"REVOKE", 0, 0, 0, false},
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

/* ------------------------------------------------------------------------------------------------------- the route's parts */

/* Bytes of these parts of a route, by their flags: three ids among numbers. */
#define PARTS1(n)                                                                                                      \
    (8 *                                                                                                               \
     ((n & 1) + 2 * (n >> 1 & 1) + 2 * (n >> 2 & 1) + 2 * (n >> 3 & 1) + (n >> 4 & 1) + (n >> 5 & 1) + (n >> 6 & 1)))
#define PARTS4(n)  PARTS1((n)), PARTS1((n + 1)), PARTS1((n + 2)), PARTS1((n + 3))
#define PARTS16(n) PARTS4((n)), PARTS4((n + 4)), PARTS4((n + 8)), PARTS4((n + 12))
static const uint8_t part_sizes[TRI_HAS_BODY] = {PARTS16(0),  PARTS16(16), PARTS16(32), PARTS16(48),
                                                 PARTS16(64), PARTS16(80), PARTS16(96), PARTS16(112)};

static size_t
parts_size(unsigned parts)
{
    return part_sizes[parts & (TRI_HAS_BODY - 1)];
}

static const uint8_t *
read_part(const uint8_t *at, bool has, void *to, size_t size)
{
    if (!has)
        return at;
    memcpy(to, at, size);
    return at + size;
}

/* Of an envelope that is long enough. What follows is given back. */
static const uint8_t *
read_route(const struct tri_route_head *head, struct tri_route *route)
{
    const uint8_t *at = (const uint8_t *)(head + 1);
    const unsigned parts = head->parts;
    *route = (struct tri_route){
        .kind = head->kind, .priority = head->priority, .flags = head->flags, .section_count = head->section_count};
    at = read_part(at, (parts & TRI_HAS_EPOCH) != 0, &route->epoch, sizeof route->epoch);
    at = read_part(at, (parts & TRI_HAS_TARGET) != 0, &route->target, sizeof route->target);
    at = read_part(at, (parts & TRI_HAS_RESULT) != 0, &route->result, sizeof route->result);
    at = read_part(at, (parts & TRI_HAS_PARENT) != 0, &route->parent, sizeof route->parent);
    at = read_part(at, (parts & TRI_HAS_SEQUENCE) != 0, &route->sequence, sizeof route->sequence);
    at = read_part(at, (parts & TRI_HAS_ACKNOWLEDGED) != 0, &route->acknowledged, sizeof route->acknowledged);
    return read_part(at, (parts & TRI_HAS_DEADLINE) != 0, &route->deadline_us, sizeof route->deadline_us);
}

static uint8_t *
write_number(uint8_t *at, uint64_t number, unsigned flag, unsigned *parts)
{
    if (number == 0)
        return at;
    *parts |= flag;
    memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

static uint8_t *
write_id(uint8_t *at, const struct tri_id *id, unsigned flag, unsigned *parts)
{
    if (tri_id_is_none(*id))
        return at;
    *parts |= flag;
    memcpy(at, id, sizeof *id);
    return at + sizeof *id;
}

static uint8_t *
write_parts(uint8_t *at, const struct tri_route *route, unsigned *parts)
{
    at = write_number(at, route->epoch, TRI_HAS_EPOCH, parts);
    at = write_id(at, &route->target, TRI_HAS_TARGET, parts);
    at = write_id(at, &route->result, TRI_HAS_RESULT, parts);
    at = write_id(at, &route->parent, TRI_HAS_PARENT, parts);
    at = write_number(at, route->sequence, TRI_HAS_SEQUENCE, parts);
    at = write_number(at, route->acknowledged, TRI_HAS_ACKNOWLEDGED, parts);
    return write_number(at, route->deadline_us, TRI_HAS_DEADLINE, parts);
}

/* ---------------------------------------------------------------------------------------------------------- checking */

/* The size of a body that has no head of its own, and that it is all that follows the route. */
static trp_err
check_body(const struct kind *kind, const struct tri_route_head *head, trp_error *error)
{
    const size_t size = sizeof *head + parts_size(head->parts) + tri_pad8(head->body_size);
    if ((head->parts & TRI_HAS_BODY) == 0) {
        if (head->meta_size != 0 || head->body_size != 0)
            return TRI_FAIL(error, TRP_EPROTO, "%s with unused fields that are not zero", kind->name);
        return TRP_OK;
    }
    if (head->section_count != 1 || head->body_size > TRI_COPY_MAX || head->meta_size > head->body_size)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u sections, and one of %u bytes, %u of them structured",
                        kind->name, head->section_count, head->body_size, head->meta_size);
    if (head->size != size)
        return TRI_FAIL(error, TRP_EPROTO, "%s that says it has %u bytes, and has %zu", kind->name, head->size, size);
    return TRP_OK;
}

static trp_err
check_route(const struct tri_route_head *head, size_t available, trp_error *error)
{
    if (head->version != TRI_WIRE_VERSION)
        return TRI_FAIL(error, TRP_EPROTO, "an envelope of version %u; this is version %d", head->version,
                        TRI_WIRE_VERSION);
    if (head->kind >= TRI_KIND_COUNT || kinds[head->kind].name == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "an envelope of unknown kind %u", head->kind);
    const struct kind *kind = &kinds[head->kind];
    if ((head->flags & ~kind->flags) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with flags 0x%x", kind->name, head->flags);
    if (head->priority < -2 || head->priority > 2)
        return TRI_FAIL(error, TRP_EPROTO, "%s with priority %d; they are -2 to 2", kind->name, head->priority);
    if (head->size < sizeof *head + parts_size(head->parts) || head->size > available || head->size % 8 != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s that says it has %u bytes of %zu", kind->name, head->size, available);
    if (head->section_count < kind->section_min || head->section_count > kind->section_max)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u sections", kind->name, head->section_count);
    return check_body(kind, head, error);
}

static trp_err
check_entries(const struct kind *kind, const struct tri_ref_entry *entries, uint32_t count, bool body, trp_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct tri_ref_entry *entry = &entries[i];
        bool appended = kind->arguments && body && entry->place != TRI_NESTED; /* its value may come along instead */
        if (tri_id_is_none(entry->id) && (!appended || entry->flags != 0))
            return TRI_FAIL(error, TRP_EPROTO, "%s carries a reference without an id", kind->name);
        if (entry->flags > TRI_REF_OPEN || entry->begin != 0 || entry->end != 0)
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
    if (head->zero16 != 0 || (head->flags & ~TRI_SECTION_FRAME) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with unused fields of a section that are not zero", kind->name);
    if (head->size > TRI_STORED_MAX || head->meta_size > META_MAX || head->meta_size > head->size)
        return TRI_FAIL(error, TRP_EPROTO, "%s with a section of %u bytes, %u of them structured", kind->name,
                        head->size, head->meta_size);
    if (head->ref_count > TRI_REFS_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u references; the limit is %d", kind->name, head->ref_count,
                        TRI_REFS_MAX);
    if ((head->flags == TRI_SECTION_FRAME) != (head->size > TRI_COPY_MAX))
        return TRI_FAIL(error, TRP_EPROTO, "%s with %u bytes of data %s the batch", kind->name, head->size,
                        head->flags == TRI_SECTION_FRAME ? "outside of" : "in");
    return TRP_OK;
}

/* Sections: places are the body's, then each argument's at most once; and that of a mark, which is small and plain. */
static trp_err
check_place(const struct kind *kind, uint32_t i, const struct tri_section_head *head, uint64_t seen[5],
            trp_error *error)
{
    const uint32_t place = head->place;
    const bool is_mark = place == TRI_PLACE_TRACE && kind == &kinds[TRI_CALL] && head->ref_count == 0 &&
                         head->flags != TRI_SECTION_FRAME;
    if ((i == 0) != (place == 0) || (place > ARGUMENT_MAX && !is_mark) || (seen[place / 64] >> place % 64 & 1) != 0)
        return TRI_FAIL(error, TRP_EPROTO, "%s with section %u in place %u", kind->name, i, place);
    seen[place / 64] |= UINT64_C(1) << place % 64;
    return TRP_OK;
}

/* A right envelope as most are: only a body without a head. All that is checked of others is checked here, at one go; false
 * leaves it to them to say what is wrong. */
static bool
is_plain(const struct tri_route_head *head, size_t available)
{
    if (head->kind >= TRI_KIND_COUNT || (head->parts & TRI_HAS_BODY) == 0 || head->section_count != 1)
        return false;
    const struct kind *kind = &kinds[head->kind];
    return head->version == TRI_WIRE_VERSION && (head->flags & ~(unsigned)kind->flags) == 0 &&
           (unsigned)(head->priority + 2) <= 4 && kind->section_min <= 1 && kind->section_max >= 1 &&
           head->body_size <= TRI_COPY_MAX && head->meta_size <= head->body_size &&
           head->size == sizeof *head + parts_size(head->parts) + tri_pad8(head->body_size) && head->size <= available;
}

/* A body without a head, where the route is right. */
static void
read_body(const struct tri_route_head *head, struct tri_envelope *envelope)
{
    const uint8_t *data = read_route(head, &envelope->route);
    envelope->body = (struct tri_section){.meta_size = head->meta_size, .size = head->body_size, .data = data};
    envelope->further = NULL;
    envelope->frames = NULL;
    envelope->frame_count = 0;
    envelope->size = head->size;
    envelope->bytes = ROUTE_SIZE + sizeof(struct tri_section_head) + tri_pad8(head->body_size);
}

/* The section at `bytes`, the frame being the next one. What follows is given back. */
static const uint8_t *
read_section(const uint8_t *bytes, struct tri_buf *const *frame, struct tri_section *section)
{
    const struct tri_section_head *head = (const void *)bytes;
    const struct tri_ref_entry *refs = (const void *)(bytes + sizeof *head);
    const bool is_frame = head->flags == TRI_SECTION_FRAME;
    section->place = head->place;
    section->ref_count = head->ref_count;
    section->refs = head->ref_count > 0 ? refs : NULL;
    section->meta_size = head->meta_size;
    section->size = head->size;
    section->frame = is_frame ? *frame : NULL;
    section->data = is_frame ? (*frame)->data : (const uint8_t *)(refs + head->ref_count);
    return bytes + section_size(head->size, head->ref_count);
}

/* Only values lie in the arena, whose bytes a broker does not look at: results, objects, and arguments that were appended. */
static bool
may_be_stored(const struct tri_route *route, uint32_t section)
{
    if (route->kind == TRI_RESULT || route->kind == TRI_PUT || route->kind == TRI_HERE)
        return (route->flags & TRI_FAILED) == 0;
    return (route->kind == TRI_CALL || route->kind == TRI_CREATE) && section > 0;
}

/* Sections with heads, in the `size` bytes behind the route. */
static trp_err
check_sections(const struct kind *kind, const uint8_t *bytes, size_t size, uint32_t frame_count,
               struct tri_envelope *envelope, trp_error *error)
{
    uint64_t seen[5] = {0};
    size_t at = 0;
    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
        const struct tri_section_head *head = (const void *)(bytes + at);
        if (size - at < sizeof *head)
            return TRI_FAIL(error, TRP_EPROTO, "%s is cut short", kind->name);
        TRP_TRY(check_head(kind, head, error));
        TRP_TRY(check_place(kind, i, head, seen, error));
        if (size - at < section_size(head->size, head->ref_count))
            return TRI_FAIL(error, TRP_EPROTO, "%s is cut short", kind->name);
        TRP_TRY(check_entries(kind, (const void *)(head + 1), head->ref_count, i == 0, error));
        at += section_size(head->size, head->ref_count);
        if (i == 0)
            envelope->further = bytes + at;
        if (head->flags != TRI_SECTION_FRAME)
            continue;
        if (envelope->frame_count == frame_count || envelope->frames[envelope->frame_count]->size != head->size)
            return TRI_FAIL(error, TRP_EPROTO, "%s without its frame of %u bytes", kind->name, head->size);
        const bool is_stored = envelope->frames[envelope->frame_count]->place != NULL;
        if (is_stored ? !may_be_stored(&envelope->route, i) : head->size > TRI_FRAME_MAX)
            return TRI_FAIL(error, TRP_EPROTO, "%s with section %u of %u bytes %s", kind->name, i, head->size,
                            is_stored ? "in the arena" : "in a frame");
        envelope->frame_count++;
        envelope->bytes += is_stored ? sizeof(struct tri_place) : head->size;
    }
    if (at != size)
        return TRI_FAIL(error, TRP_EPROTO, "%s with %zu bytes too many", kind->name, size - at);
    if (envelope->route.section_count > 0)
        (void)read_section(bytes, envelope->frames, &envelope->body);
    return TRP_OK;
}

trp_err
tri_envelope_check(const uint8_t *bytes, size_t available, struct tri_buf *const *frames, uint32_t frame_count,
                   struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route_head *head = (const void *)bytes;
    if (((uintptr_t)bytes & 7) != 0 || available < sizeof *head)
        return TRI_FAIL(error, TRP_EPROTO, "%zu bytes where an envelope should be", available);
    if (!is_plain(head, available)) {
        TRP_TRY(check_route(head, available, error));
        if ((head->parts & TRI_HAS_BODY) == 0) {
            const size_t size = head->size - sizeof *head - parts_size(head->parts);
            *envelope = (struct tri_envelope){.frames = frames, .size = head->size, .bytes = ROUTE_SIZE + size};
            const uint8_t *sections = read_route(head, &envelope->route);
            return check_sections(&kinds[head->kind], sections, size, frame_count, envelope, error);
        }
    }
    read_body(head, envelope);
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- reading */

void
tri_envelope_section(const struct tri_envelope *envelope, uint32_t i, struct tri_section *section)
{
    TRI_ASSERT(i < envelope->route.section_count);
    *section = envelope->body;
    const uint8_t *at = envelope->further;
    struct tri_buf *const *frame = envelope->frames;
    for (uint32_t k = 0; k < i; k++) {
        frame += section->frame != NULL;
        at = read_section(at, frame, section);
    }
}

size_t
tri_envelope_room(const struct tri_envelope *envelope)
{
    return envelope->route.section_count == 0 ? 0 : envelope->bytes - ROUTE_SIZE; /* heads, and frames, are too many */
}

void
tri_envelope_keep(const struct tri_envelope *envelope, void *memory, struct tri_section *sections)
{
    uint8_t *at = memory;
    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
        struct tri_section *section = &sections[i];
        tri_envelope_section(envelope, i, section);
        const size_t refs_size = section->ref_count * sizeof *section->refs;
        if (refs_size > 0)
            section->refs = memcpy(at, section->refs, refs_size);
        at += refs_size;
        if (section->frame != NULL) {
            (void)tri_buf_retain(section->frame);
            continue;
        }
        section->data = memcpy(at, section->data, (size_t)section->size);
        at += tri_pad8((size_t)section->size);
    }
}

/* ----------------------------------------------------------------------------------------------------------- writing */

size_t
tri_envelope_size(const struct tri_section *sections, uint32_t section_count)
{
    size_t size = ROUTE_SIZE;
    for (uint32_t i = 0; i < section_count; i++)
        size += section_size(sections[i].size, sections[i].ref_count);
    return size;
}

uint64_t
tri_envelope_bytes(const struct tri_section *sections, uint32_t section_count)
{
    uint64_t bytes = tri_envelope_size(sections, section_count);
    for (uint32_t i = 0; i < section_count; i++)
        if (tri_section_is_frame(&sections[i]))
            bytes += tri_section_place(&sections[i]) != NULL ? sizeof(struct tri_place) : sections[i].size;
    return bytes;
}

static uint8_t *
write_data(uint8_t *bytes, const struct tri_section *section)
{
    const size_t size = (size_t)section->size, padded = tri_pad8(size);
    if (size == 0)
        return bytes;
    memset(bytes + padded - 8, 0, 8); /* what the padding may be */
    memcpy(bytes, section->data, size);
    return bytes + padded;
}

static uint8_t *
write_section(uint8_t *bytes, const struct tri_section *section)
{
    const bool is_frame = tri_section_is_frame(section);
    TRI_ASSERT(section->ref_count <= TRI_REFS_MAX && section->size <= TRI_STORED_MAX);
    *(struct tri_section_head *)(void *)bytes = (struct tri_section_head){.place = (uint16_t)section->place,
                                                                          .ref_count = (uint16_t)section->ref_count,
                                                                          .flags = is_frame ? TRI_SECTION_FRAME : 0,
                                                                          .meta_size = section->meta_size,
                                                                          .size = (uint32_t)section->size};
    bytes += sizeof(struct tri_section_head);
    if (section->ref_count > 0)
        memcpy(bytes, section->refs, section->ref_count * sizeof *section->refs);
    bytes += section->ref_count * sizeof *section->refs;
    return is_frame ? bytes : write_data(bytes, section);
}

size_t
tri_envelope_write(uint8_t *bytes, const struct tri_route *route, const struct tri_section *sections,
                   uint32_t section_count)
{
    struct tri_route_head *head = (void *)bytes;
    unsigned parts = 0;
    uint8_t *at = write_parts(bytes + sizeof *head, route, &parts);
    TRI_ASSERT(section_count <= TRI_SECTIONS_MAX);
    *head = (struct tri_route_head){.version = TRI_WIRE_VERSION,
                                    .kind = route->kind,
                                    .flags = route->flags,
                                    .priority = route->priority,
                                    .section_count = (uint16_t)section_count};
    if (section_count == 1 && sections->ref_count == 0 && sections->place == 0 && !tri_section_is_frame(sections)) {
        parts |= TRI_HAS_BODY;
        head->meta_size = (uint16_t)sections->meta_size;
        head->body_size = (uint16_t)sections->size;
        at = write_data(at, sections);
    } else {
        for (uint32_t i = 0; i < section_count; i++)
            at = write_section(at, &sections[i]);
    }
    head->parts = (uint8_t)parts;
    head->size = (uint32_t)(at - bytes);
    return head->size;
}
