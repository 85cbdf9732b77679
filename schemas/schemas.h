/*
 * schemas.h - the door of schemas/: what is on the wire, and the codec between buffers and plain C structs.
 *
 * An envelope is one message: a route, then sections. Section 0 is the body; the broker may append further ones,
 * the values of top-level reference arguments. A section's data is a FlatBuffer (of meta_size bytes) and, padded to 8, a
 * block of raw bytes. docs/protocol.md says which envelopes exist, who sends them when, and what answers them.
 *
 * Everything here is pure and may be called from any thread. Whatever was received is checked by tri_envelope_check and
 * by the tri_*_unpack functions before anything else looks at it: TRP_EPROTO, with a sentence.
 */
#ifndef TRI_SCHEMAS_H
#define TRI_SCHEMAS_H

#include "transport/base/base.h"

#define TRI_WIRE_VERSION 2

enum tri_limits {
    TRI_INLINE_MAX = 102400,          /* larger objects are the store's, once there is one */
    TRI_COPY_MAX = 4096,              /* data up to this is copied into the batch, larger is a frame of its own */
    TRI_IDS_IN_BATCH = 240,           /* as many ids, or */
    TRI_RUNS_IN_BATCH = 120,          /* runs, are no frame: it would cost a system call at each end */
    TRI_RUN_MAX = 64,                 /* ids of a run, and */
    TRI_RUN_IDS_MAX = 65536,          /* of all in an envelope */
    TRI_FRAME_MAX = 64 * 1024 * 1024, /* a frame, and a body */
    TRI_REFS_MAX = 4096,              /* references of an envelope */
    TRI_NAME_MAX = 255,               /* bytes */
    TRI_SECTIONS_MAX = 257,
    TRI_PLACE_TRACE = TRI_SECTIONS_MAX, /* of the section of a CALL that is no argument but the mark of a trace */
    TRI_CONCURRENCY_MAX = 256,          /* calls of an actor at a time */
    TRI_NODES_MAX = 4 * 1024 * 1024,    /* values in a value */
};
#define TRI_STORED_MAX UINT32_C(0xfffff000) /* bytes of a value in the arena */

/* ---------------------------------------------------------------------------------------------------- the envelope */

enum tri_kind {
    /* login.fbs */
    TRI_HELLO = 1, /* P>B  Login */
    TRI_WELCOME,   /* B>P  Welcome */
    TRI_CUT,       /* B>P  Error: why this peer is cut; the last envelope */
    TRI_SNAPSHOT,  /* P>B  Snapshot: a part of it; flag TRI_LAST on the last */
    TRI_GOODBYE,   /* P>B  no body: ends in order; flag TRI_LENT: but goes on reading */
    TRI_PING,      /* B>H, P>B  no body */
    TRI_PONG,      /* H>B  no body */
    /* calls.fbs */
    TRI_CALL = 16, /* P>B>H Call */
    TRI_RESULT,    /* H>B>P Value, or Error with TRI_FAILED; route.result names it */
    TRI_ACCEPTED,  /* B>P  Ids: calls and spawns whose host has them: their bodies need not be kept (tasks' do) */
    TRI_CANCEL,    /* P>B>H Ids: calls that are to end: their deadline has passed; flag TRI_ASKED: a holder wants it */
    TRI_RECALL,    /* B>H  no body: give back tasks that have not started */
    TRI_RETURNED,  /* H>B  Ids: tasks given back, in order, not started */
    TRI_BLOCKED,   /* H>B  Waits: the execution route.parent waits for these (flag TRI_ANY: any one of them) */
    TRI_UNBLOCKED, /* H>B  no body: route.parent goes on */
    TRI_DEADLOCK,  /* B>H  Error: the wait of route.parent could never end; the wait, not the reference, fails */
    TRI_STARTED,   /* H>B  no body; flags: unused. reserved for long calls */
    /* objects: calls.fbs */
    TRI_PUT = 40, /* P>B  Value: route.result, private so far or asked for by FETCH */
    TRI_WAIT,     /* P>B  Ids: send me RESULT of these when they are ready */
    TRI_RELEASE,  /* P>B  Runs: ids, and times handed over */
    TRI_FREED,    /* B>P  Runs: what you keep for the broker under these names, values and results, you may drop */
    TRI_FETCH,    /* B>P  Ids: send PUT of these again, I need the values */
    /* store.fbs */
    TRI_SPACE = 48, /* P>B  no body: a lease of route.sequence granules in a row, please; one at a time */
    TRI_LEASE,      /* B>P  Lease, or Error with TRI_FAILED: the answer */
    TRI_GIVEN,      /* P>B  Lease: idle space and slots go back; flag TRI_LAST: that was all for REVOKE */
    TRI_WANT,       /* P>B  no body: route.result, which P holds and has the place of, is not in the arena now */
    TRI_HERE, /* B>P  Value without entries, which is there until the packet is acknowledged; or Error with TRI_FAILED */
    TRI_REVOKE, /* B>P  no body: others wait for room; what P has on lease and does not use comes back as GIVEN */
    /* actors.fbs */
    TRI_SPAWN = 64, /* P>B  Spawn: route.target is the new actor's id, route.result the answer's or none */
    TRI_CREATE,     /* B>H  Spawn, the same section: be this actor, route.epoch */
    TRI_READY,  /* H>B  no body, or Error with TRI_FAILED: its constructor has ended; route.sequence: calls at a time */
    TRI_STOP,   /* B>H  no body: end the actor route.target; flag TRI_DRAIN: after its queue */
    TRI_ENDED,  /* H>B  no body: it has ended, in order; the process exits */
    TRI_KILL,   /* P>B  Kill: request; answered by RESULT null */
    TRI_LOOKUP, /* P>B  Name: request; answered by RESULT with an actor value */
    TRI_WATCH,  /* P>B  Watch: request; answered by RESULT when it has happened */
    /* module.fbs */
    TRI_MODULE = 80, /* H>B  Module: what a module offers, and its tasks declare; once per module and host */
    /* control.fbs */
    TRI_QUERY = 88, /* P>B  Name: request; answered by RESULT with a LIST of MAPs */
    TRI_LOG,        /* B>P  Log: a line that a host printed, for the driver's terminal */
    TRI_KIND_COUNT = 96
};

/* Flags of a route. */
enum {
    TRI_FAILED = 1 << 0,   /* section 0 is an Error */
    TRI_ONE_WAY = 1 << 1,  /* CALL: no result */
    TRI_TASK = 1 << 2,     /* CALL: no target; any pool host */
    TRI_IN_PLACE = 1 << 3, /* CALL to a host: run it on the thread that waits for it */
    TRI_NO_RETRY = 1 << 4, /* CALL: not again after a death */
    TRI_LAST = 1 << 5,     /* SNAPSHOT: no more */
    TRI_DRAIN = 1 << 6,    /* STOP */
    TRI_ANY = 1 << 7,      /* BLOCKED */
    TRI_RETRIED = 1 << 8,  /* CALL of a task to a host: it was given to another host before, which died;
                              CALL, SPAWN to a broker: it was sent to the one before, which died */
    TRI_FETCHED = 1 << 9,  /* PUT: FETCH asked for it; it makes its sender no holder */
    TRI_ASKED = 1 << 10,   /* CANCEL: trp_cancel, not a deadline */
    TRI_LENT = 1 << 11,    /* GOODBYE: what it has pinned is read for as long as it lives */
};

/* What an envelope says of itself before its sections. The broker reads this, the section heads and the reference entries,
 * and of a CALL no more. */
struct tri_route {
    uint8_t kind;    /* enum tri_kind */
    int8_t priority; /* -2 to 2 */
    uint16_t flags;
    uint16_t section_count; /* 0 where there is no body */
    uint64_t epoch;         /* of the target: {broker incarnation << 32 | counter}; 0 from a caller: the current one */
    struct tri_id target;   /* actor; none for tasks and for the broker itself */
    struct tri_id
        result; /* name of the result; none: nobody wants one. Made by the caller: its space is the sender's */
    struct tri_id parent;  /* the call in whose execution this one was made; none from a driver */
    uint64_t sequence;     /* CALL: 1, 2... within its lane (caller, target); 0 for tasks. READY, CREATE to the broker:
                              how many calls the actor runs at a time; 0: not constructed */
    uint64_t acknowledged; /* ACCEPTED: not 0: that call of the lane alone has failed */
    uint64_t deadline_us;  /* left of it when sent; 0: none */
};

/* On the wire: the first bytes of every envelope, little-endian, 8-byte aligned in the batch. Behind it come those of the
 * route's ids and numbers that are not none or 0, in the order of their flags, then the sections. */
struct tri_route_head {
    uint8_t version; /* TRI_WIRE_VERSION */
    uint8_t kind;
    uint16_t flags;
    uint32_t size; /* bytes of the envelope in the batch, a multiple of 8: all but data that is a frame */
    int8_t priority;
    uint8_t parts; /* TRI_HAS_* */
    uint16_t section_count;
    uint16_t meta_size, body_size; /* with TRI_HAS_BODY; else 0 */
};
enum {
    TRI_HAS_EPOCH = 1 << 0,
    TRI_HAS_TARGET = 1 << 1,
    TRI_HAS_RESULT = 1 << 2,
    TRI_HAS_PARENT = 1 << 3,
    TRI_HAS_SEQUENCE = 1 << 4,
    TRI_HAS_ACKNOWLEDGED = 1 << 5,
    TRI_HAS_DEADLINE = 1 << 6,
    TRI_HAS_BODY = 1 << 7, /* the only section has no entries and is no frame: only its data follow, padded to 8 */
};

struct tri_section_head {
    uint16_t place; /* 0 for the body; of an appended value: argument + 1; TRI_PLACE_TRACE */
    uint16_t ref_count;
    uint16_t flags; /* TRI_SECTION_FRAME */
    uint16_t zero16;
    uint32_t meta_size; /* bytes of FlatBuffer at the start of the data; <= 2^28 */
    uint32_t size;      /* bytes of data; <= TRI_FRAME_MAX, in the arena <= TRI_STORED_MAX */
};
enum { TRI_SECTION_FRAME = 1 }; /* the data is the next frame of the packet, not here */

/* A reference or actor handle that a section carries. In values, node payloads of REF and ACTOR are indices of these. */
struct tri_ref_entry {
    struct tri_id id;    /* none: a top-level one whose value came along as a section */
    uint32_t place;      /* argument (0...) that it is, top-level; or TRI_NESTED */
    uint32_t flags;      /* TRI_REF_ACTOR, TRI_REF_OPEN */
    uint64_t begin, end; /* range on axis 0; 0, 0: all. Others are refused until a later version */
};
#define TRI_NESTED UINT32_MAX
enum {
    TRI_REF_ACTOR = 1,
    TRI_REF_OPEN = 2 /* the sender makes its value, and has not ended that (trp_put_begin) */
};

/* A section, as read or as it is to be written. Borrows. */
struct tri_section {
    uint32_t place;
    uint32_t ref_count;
    const struct tri_ref_entry *refs;
    uint32_t meta_size;
    uint64_t size;
    const uint8_t *data;
    struct tri_buf
        *frame; /* the buffer that data lies in, if a frame; writing: data of more than TRI_COPY_MAX is sent as a
                              frame, by reference where this is set (data == frame->data), else copied once */
};

/* A received envelope: a view into its batch, good for as long as that and the frames. */
struct tri_envelope {
    struct tri_route route;
    struct tri_section body;       /* the first section, where there is one */
    const uint8_t *further;        /* the others, as they lie in the batch */
    struct tri_buf *const *frames; /* of its sections that are frames, in order */
    uint32_t frame_count;
    uint32_t size;  /* bytes in the batch */
    uint64_t bytes; /* what it takes of a window: tri_envelope_size of its sections, and its frames */
};

/*
 * Checks an envelope at `bytes` (8-byte aligned) with `available` bytes and `frame_count` frames left in its packet:
 * version, kind, flags, counts, sizes, zeros, reference entries. Says how many frames it takes. TRP_EPROTO.
 * Bodies are not looked into.
 */
trp_err tri_envelope_check(const uint8_t *bytes, size_t available, struct tri_buf *const *frames, uint32_t frame_count,
                           struct tri_envelope *envelope, trp_error *error);
/* Section i (below section_count) of a checked envelope. Sections are walked from the front: O(i). */
void tri_envelope_section(const struct tri_envelope *envelope, uint32_t i, struct tri_section *section);
/* Copies all of them, for whoever keeps them: data and entries into `memory` (8-byte aligned, tri_envelope_room bytes), and
 * frames are retained. */
size_t tri_envelope_room(const struct tri_envelope *envelope);
void tri_envelope_keep(const struct tri_envelope *envelope, void *memory, struct tri_section *sections);
/* The bytes that an envelope of these sections would have in a batch if nothing were left out, beside its frames. It never has
 * more. */
size_t tri_envelope_size(const struct tri_section *sections, uint32_t section_count);
/* What it takes of a window: those, and the bytes of its frames, or the places of such as lie in the arena. Both ends count the
 * same: it is the `bytes` of the envelope. */
uint64_t tri_envelope_bytes(const struct tri_section *sections, uint32_t section_count);
/* Writes it into a batch (8-byte aligned, room for tri_envelope_size bytes) and says how many bytes it has. Data of sections
 * above TRI_COPY_MAX is not written: the caller adds the frames, in order. */
size_t tri_envelope_write(uint8_t *bytes, const struct tri_route *route, const struct tri_section *sections,
                          uint32_t section_count);
static inline bool
tri_section_is_frame(const struct tri_section *section)
{
    return section->size > TRI_COPY_MAX;
}
/* Whether its frame is its data, all of it and nothing else: one in the arena always is, and has data only while it is read. */
static inline bool
tri_section_fills_frame(const struct tri_section *section)
{
    const struct tri_buf *frame = section->frame;
    return frame != NULL && frame->size == section->size && (frame->data == section->data || frame->place != NULL);
}
/* The frame that its data travels as, retained: its own, else a copy. NULL: no memory. */
static inline struct tri_buf *
tri_section_frame(const struct tri_section *section)
{
    return tri_section_fills_frame(section) ? tri_buf_retain(section->frame)
                                            : tri_buf_copy(section->data, (size_t)section->size);
}
/* Where all of its data lies in the arena; NULL: it does not. */
static inline const struct tri_place *
tri_section_place(const struct tri_section *section)
{
    return tri_section_fills_frame(section) ? section->frame->place : NULL;
}
const char *tri_kind_name(uint8_t kind); /* "CALL"; "?" */

/* ---------------------------------------------------------------------------------------------------------- values */

/*
 * How a value lies in a section: FlatBuffer table Value { nodes: [Node] } (or within Call, Spawn: the same vector), node 0
 * the root, level order: the children of a LIST, TUPLE, MAP (key, value, key...) lie together. Node, 16 bytes:
 *     kind u8, zero u8[3], count u32, payload u64
 *     BOOL, I64, F64: payload is the value's bits.  STR, BYTES: payload is the offset (8-aligned) in the byte block of
 *     {u64 size, bytes, NUL}.  LIST, TUPLE: count children from node `payload`.  MAP: count entries, 2*count nodes.
 *     TENSOR: payload is the offset of {dlpack code u8, bits u8, lanes u16, ndim u32, u64 data offset (64-aligned relative
 *     to the block), u64 data size, i64 shape[ndim], i64 strides[ndim]}, row-major.  REF, ACTOR: payload is the index of the
 *     entry; of a top-level REF it says nothing where a value was appended in its place. Entries of top-level references lie
 *     behind all others, so that dropping them leaves the other indices as they are.
 * An empty LIST, TUPLE or MAP has payload 0. The children of the first container begin at node 1, those of the next one
 * where these end, and so on.
 * The byte block begins at tri_pad8(meta_size) of the section's data.
 */

/* Turns handles inside a value into ids when packing. TRP_OK and the entry's id and flags set; or refuses. */
struct tri_handles {
    trp_err (*ref_id)(void *user, trp_ref *ref, struct tri_id *id, trp_error *error);
    trp_err (*actor_id)(void *user, trp_actor *actor, struct tri_id *id, trp_error *error);
    void *user;
};

/* Where values go that are too large to travel (TRI_INLINE_MAX): gives a buffer in the arena, which nobody else has and which is
 * not shown before it is written. TRP_OK with *buf NULL: this one travels all the same. Errors are passed on. */
struct tri_rooms {
    trp_err (*take)(void *user, uint64_t size, struct tri_buf **buf, trp_error *error);
    void *user;
};

/* A value that is filled in later: tensors without data, or bytes that are all of it, get room of their own. Zero-initialise; what
 * was packed has their addresses. */
struct tri_blanks {
    DLTensor **tensors; /* the caller's: `data` is set */
    size_t count, capacity;
};
void tri_blanks_undo(struct tri_blanks *blanks); /* nothing came of it: they are without data again */
void tri_blanks_fini(struct tri_blanks *blanks);

/* A packed section that owns its memory: reused by pack functions, which overwrite it. Zero-initialise, fini once. */
struct tri_packed {
    struct tri_section section;    /* what was packed last; `frame` is set if it is larger than TRI_COPY_MAX */
    const struct tri_rooms *rooms; /* of large values; NULL: they travel. Borrowed */
    struct tri_blanks *blanks;     /* for tri_value_pack: not NULL: these are looked for, and the value has a buffer of
                                      its own (tri_buf_room_new), `section.frame`, also if it is small. Borrowed */
    struct tri_ref_entry *refs;
    size_t ref_capacity;
    struct tri_buf *buf; /* replaced when somebody else holds it */
    void *scratch;       /* the codec's own (nodes, queue) */
};
void tri_packed_fini(struct tri_packed *packed);
/* The value is one that lies in the arena already (takes `buf` over): TRP_ENOMEM. */
trp_err tri_packed_take(struct tri_packed *packed, struct tri_buf *buf, uint32_t meta_size, trp_error *error);
/* What was packed last has been handed on: if it lies in the arena, or has memory of its own, this does not hold it any longer. */
void tri_packed_forget(struct tri_packed *packed);

/* RESULT, PUT. TRP_EINVAL (TRP_NONE), TRP_ETYPE (keyword outside of arguments, non-CPU tensor), TRP_ELIMIT (nesting, size,
 * references), TRP_ENOMEM. `inline_size` (may be NULL): what counts against the inline limit. */
trp_err tri_value_pack(struct tri_packed *packed, trp_value value, const struct tri_handles *handles,
                       uint64_t *inline_size, trp_error *error);

/* A received value, unpacked: what a trp_value with form != 0 points to. One block of memory; borrows the section's data,
 * which must lie in aligned private memory. */
struct tri_view {
    const struct tri_wire_node *nodes;
    uint32_t node_count;
    const uint8_t *bytes; /* the byte block */
    uint64_t bytes_size;
    trp_ref **refs; /* by entry: the handle that its REF nodes give; NULL: an actor */
    trp_actor **actors;
    uint32_t ref_count;
    struct tri_buf *held;    /* owner of the data, released by fini; or NULL */
    struct tri_heads *heads; /* of a value that others could still write to; NULL */
};
struct tri_wire_node {
    uint8_t kind;
    uint8_t zero[3];
    uint32_t count;
    uint64_t payload;
};
/* Verifies section 0 or an appended one as a Value; handles (refs, actors) are the caller's to fill in afterwards. The
 * view's memory is the caller's; data that is misaligned (mod 8) is copied into a buffer that `held` then owns, else
 * `held` is `section->frame` retained, or NULL. TRP_EPROTO. */
trp_err tri_view_open(struct tri_view *view, const struct tri_section *section, trp_error *error);
void tri_view_close(struct tri_view *view);
/* The value at a node; node 0 is the whole. Scalars and strings come ready, others refer to the view. */
trp_value tri_view_value(const struct tri_view *view, uint32_t node);
/* Bytes of a tensor's elements; UINT64_MAX: too many, or of a kind that cannot travel. Its shape is there. */
uint64_t tri_tensor_size(const DLTensor *tensor);
/* Fills *tensor with a view of a TENSOR node: host memory, read-only, strides set. */
void tri_view_tensor(const struct tri_view *view, uint32_t node, DLTensor *tensor);

/* ------------------------------------------------------------------------------------------------- bodies, unpacked */
/* Texts and arrays of unpacked bodies borrow the section's data (texts are NUL-terminated there) and, where said, a
 * caller's scratch. Pack functions overwrite *packed. */

/* calls.fbs: Call { method: string; nodes: [Node] }. Root node TUPLE: the positional arguments; or LIST of that TUPLE and
 * a MAP of keyword arguments. A top-level argument's `place` is its index; keywords count on after the positional ones. */
struct tri_call {
    const char *method; /* or "module:function" of a task */
    struct tri_view args;
};
trp_err tri_call_pack(struct tri_packed *packed, const char *method, trp_value args, const struct tri_handles *handles,
                      trp_error *error); /* args: TRP_ARGS or null */
trp_err tri_call_unpack(const struct tri_section *section, struct tri_call *call, trp_error *error);
/* What the structured bytes of a call were that was unpacked: of others with the same ones but for their nodes, only the nodes
 * have to be looked at. Zeroed: none. */
struct tri_call_shape {
    uint32_t size, nodes_at, nodes_end;
    uint8_t bytes[372]; /* calls with more of them are unpacked each time */
};
void tri_call_shape(struct tri_call_shape *shape, const struct tri_section *section, const struct tri_call *call);
/* A call of this shape with exactly `count` arguments, positional ones, of these kinds (TRI_ANY_KIND: any), each a number, a
 * bool, null, a string or bytes: checks it as tri_call_unpack does, and gives the values, which borrow the section. false: it
 * is another one, or wrong, which tri_call_unpack will say. */
#define TRI_ANY_KIND 0xff
bool tri_call_plain(const struct tri_call_shape *shape, const struct tri_section *section, const uint8_t *kinds,
                    uint32_t count, trp_value *values);
/* Only the name, without opening the arguments: for logs and `why`. "" if it cannot be read. Verifies. */
const char *tri_call_method(const struct tri_section *section);
/* The same by its offsets alone, without verifying the rest: any bytes, without an end. NULL: it is not where it should be. */
const char *tri_call_method_peek(const struct tri_section *section, uint32_t *length);

/* errors.fbs: Error. A chain of causes at most 8 deep; the last ones are cut. */
struct tri_death { /* how a process ended; all zero: no process did */
    bool present;
    int32_t pid;
    int32_t exit_code; /* or -1 */
    int32_t signal;    /* or 0 */
    bool memory_limit;
    const char *module, *actor, *method; /* what ran; "" */
    uint64_t sequence;                   /* of the call that ran; 0: none */
    const char *backtrace;               /* lines */
    const char *last_output;             /* lines */
    const char *killed_by;               /* the rule of ours that killed it; "" */
    /* From the host's progress page. A host numbers the CALL envelopes that it gets 1, 2, ... (repeats, too), and the broker
     * those that it sends. Above started: not run. Up to finished: ran, whatever became of the RESULT. Between: may have run. */
    uint64_t started, finished;
    /* Whose it is, and how it ended, which the broker adds: actor is its name, else its class; all are "" for a task's. */
    const char *id, *class_name, *node, *message;
    /* Likewise, between root and broker only: the actor that lived in it (none), and whether it has run tasks. */
    struct tri_id resident;
    bool ran_tasks;
};
struct tri_failure {
    trp_error error; /* all of it */
    struct tri_death death;
    const struct tri_failure *cause; /* NULL: none */
};
trp_err tri_error_pack(struct tri_packed *packed, const struct tri_failure *failure, trp_error *error);
/* `chain`: room for up to 8, linked by this. Texts of deaths borrow the section. */
trp_err tri_error_unpack(const struct tri_section *section, struct tri_failure chain[8], uint32_t *count,
                         trp_error *error);

/* The MAP that a death record is for users (runtime.h). Texts that are NULL count as "". */
enum { TRI_DEATH_FIELDS = 15 };
trp_value tri_death_map(const struct tri_death *death, trp_value entries[2 * TRI_DEATH_FIELDS]);

/* What an error of a call speaks of. */
struct tri_about {
    const char *who;    /* "actor 'x'"; "": a task */
    const char *actor;  /* for the error's field: its name, else its class; "" */
    const char *method; /* or the task; "" */
    const char *node;
    const char *fate; /* "was not run" */
    trp_ran ran;
    bool is_task;
};
/* Why there is no actor: its constructor's failure, or what came before it was run. */
void tri_say_unmade(char *text, size_t size, const trp_error *why);
void tri_about_refused(trp_error *error, trp_err code, const struct tri_about *about, const char *why);
void tri_about_ended(trp_error *error, const struct tri_about *about, const char *why); /* TRP_EACTORDIED */
void tri_about_died(trp_error *error, const struct tri_about *about, const char *how);  /* while it had the call */
/* `cause`: of argument `place`, and from now on of this failure; NULL: it cannot be read. */
void tri_about_argument(struct tri_failure *failure, const struct tri_about *about, uint32_t place,
                        const struct tri_failure *cause);
/* TRP_ENOENT. `died`: how the last one of that name did; NULL: none is known. */
trp_err tri_fail_nobody(trp_error *error, const char *name, const char *space, const char *node, const char *died);
trp_err tri_fail_taken(trp_error *error, const char *name, const char *space); /* TRP_EEXIST */
trp_err tri_fail_cycle(trp_error *error);                                      /* TRP_ECYCLE: it ran */

/* login.fbs */
enum tri_role { TRI_DRIVER = 1, TRI_HOST = 2 };
struct tri_login {
    uint32_t version_min, version_max;
    enum tri_role role;
    int32_t pid;
    uint64_t cookie;     /* what the side door gave */
    uint64_t space;      /* 0: new; else who I am (a broker that is new to me, or a link that was cut) */
    uint64_t received;   /* with the same broker: number of its last packet that I accepted */
    uint64_t broker;     /* incarnation of the broker that `received` belongs to; 0: none */
    uint64_t host_token; /* host: what the root gave it at the fork */
    const char *program; /* for people */
};
trp_err tri_login_pack(struct tri_packed *packed, const struct tri_login *login, trp_error *error);
trp_err tri_login_unpack(const struct tri_section *section, struct tri_login *login, trp_error *error);
struct tri_welcome {
    uint32_t version;
    uint64_t space;        /* yours */
    uint64_t broker;       /* incarnation */
    uint64_t received;     /* resumed link: number of your last packet that I accepted; send what came after again */
    bool snapshot;         /* I don't know you (any more): send a snapshot, then resend, numbering packets from 1 */
    const char *node;      /* name of the node */
    uint32_t credit_calls; /* what may be outstanding from you */
    uint64_t credit_bytes;
    double num_cpus;
    uint32_t arena_granules; /* of 4 KiB; 0: the node has no arena */
    uint32_t slots;
    uint32_t pins; /* number of your table of pins */
};
trp_err tri_welcome_pack(struct tri_packed *packed, const struct tri_welcome *welcome, trp_error *error);
trp_err tri_welcome_unpack(const struct tri_section *section, struct tri_welcome *welcome, trp_error *error);

/* Arrays of fixed structs (FlatBuffers vectors of structs): unpacked in place, borrowed, 8-aligned. */
struct tri_snap_hold { /* a reference or handle that this process holds */
    struct tri_id id;
    uint64_t handed; /* times handed over to it */
    uint32_t flags;  /* TRI_SNAP_* */
    uint32_t zero;
};
struct tri_snap_call {    /* caller: outstanding, told accepted. host: accepted, not ended */
    struct tri_id id;     /* result id; none for one-way ones (not reported by callers) */
    struct tri_id target; /* actor; none: task */
    uint64_t sequence;
    uint32_t flags; /* TRI_SNAP_* */
    uint32_t zero;
};
struct tri_snap_actor { /* host: an actor that lives here; its Spawn follows as CREATE envelope from host to broker */
    struct tri_id id;
    uint64_t epoch;
    uint32_t flags; /* TRI_SNAP_READY */
    uint32_t zero;
};
enum {
    TRI_SNAP_VALUE = 1,     /* hold: its value is here */
    TRI_SNAP_ACTOR = 2,     /* hold: an actor's handle */
    TRI_SNAP_KEPT = 4,      /* hold: kept for the broker (result or published value) until FREED */
    TRI_SNAP_RUNNING = 8,   /* call at a host: started */
    TRI_SNAP_ACCEPTED = 16, /* call at its caller: ACCEPTED has come */
    TRI_SNAP_READY = 32,    /* actor: constructed */
    TRI_SNAP_COMING = 128,  /* hold of an actor of one's own: its SPAWN comes again, behind the snapshot */
    TRI_SNAP_POOL = 64,     /* actor entry with id none: this host is one of the task pool */
    TRI_SNAP_OPEN = 512,    /* hold of one's own: its value will be here, and is being written */
    TRI_SNAP_ENDED = 256,   /* actor entry: this one has ended, and its host is about to exit */
};
struct tri_snapshot {
    const struct tri_snap_hold *holds;
    uint32_t hold_count;
    const struct tri_snap_call *calls;
    uint32_t call_count;
    const struct tri_snap_actor *actors;
    uint32_t actor_count;
};
trp_err tri_snapshot_pack(struct tri_packed *packed, const struct tri_snapshot *snapshot, trp_error *error);
trp_err tri_snapshot_unpack(const struct tri_section *section, struct tri_snapshot *snapshot, trp_error *error);

/* Ids { ids: [Id] }: ACCEPTED, CANCEL, RETURNED, WAIT, FETCH, BLOCKED. */
trp_err tri_ids_pack(struct tri_packed *packed, const struct tri_id *ids, uint32_t count, trp_error *error);
trp_err tri_ids_unpack(const struct tri_section *section, const struct tri_id **ids, uint32_t *count, trp_error *error);
/* Runs { runs: [Run] }: RELEASE, FREED. A run is `count` ids, each `step` more than the one before. */
struct tri_run {
    struct tri_id id; /* the first one */
    int32_t step;
    uint32_t count;  /* 1 to TRI_RUN_MAX */
    uint64_t handed; /* RELEASE: times that each was handed over */
};
static inline struct tri_id
tri_run_id(const struct tri_run *run, uint32_t i)
{
    struct tri_id id = run->id;
    id.number += (uint64_t)((int64_t)run->step * i);
    return id;
}
/* Makes it longer by this id, if that is the next one. */
bool tri_run_takes(struct tri_run *run, struct tri_id id, uint64_t handed);
trp_err tri_runs_pack(struct tri_packed *packed, const struct tri_run *runs, uint32_t count, trp_error *error);
trp_err tri_runs_unpack(const struct tri_section *section, const struct tri_run **runs, uint32_t *count,
                        trp_error *error);

/* store.fbs: Lease: granules of the arena in a row, and slots for what will lie there. */
enum { TRI_LEASE_SLOTS_MAX = 64 };
struct tri_lease {
    uint32_t start, count;
    const uint32_t *slots; /* unpacked: borrowed, 4-aligned */
    uint32_t slot_count;   /* up to TRI_LEASE_SLOTS_MAX */
};
trp_err tri_lease_pack(struct tri_packed *packed, const struct tri_lease *lease, trp_error *error);
/* Whether it lies within an arena is not checked, only that its end is a number. */
trp_err tri_lease_unpack(const struct tri_section *section, struct tri_lease *lease, trp_error *error);

/* actors.fbs: Spawn. */
struct tri_resource {
    const char *name;
    double amount;
};
struct tri_env {
    const char *name, *text;
};
struct tri_spawn {
    const char *class_name; /* "module:Class" */
    const char *name;       /* "" or the actor's, without its namespace */
    const char *namespace_; /* never "" */
    bool get_if_exists, detached;
    double num_cpus, num_gpus;
    uint64_t memory_bytes;
    int64_t start_timeout_ms;
    uint32_t max_concurrency, max_pending_calls;
    const struct tri_resource *resources; /* unpacked: in `scratch` of tri_spawn_unpack */
    uint32_t resource_count;
    const struct tri_env *env;
    uint32_t env_count;
    struct tri_view args; /* unpacked only; as Call's */
};
#define TRI_SPAWN_LISTS_MAX 64
struct tri_spawn_scratch {
    struct tri_resource resources[TRI_SPAWN_LISTS_MAX];
    struct tri_env env[TRI_SPAWN_LISTS_MAX];
};
trp_err tri_spawn_pack(struct tri_packed *packed, const struct tri_spawn *spawn, trp_value args,
                       const struct tri_handles *handles, trp_error *error);
trp_err tri_spawn_unpack(const struct tri_section *section, struct tri_spawn *spawn, struct tri_spawn_scratch *scratch,
                         trp_error *error);

/* What a call says of its task travels in its Call as table Needs; absent, and 0: as the task's row declares, which the
 * broker knows; usually 1 CPU and 3 retries. */
struct tri_needs {
    double num_cpus, num_gpus; /* num_cpus below 0: none */
    uint64_t memory_bytes;
    int32_t max_retries; /* -1: always */
    const struct tri_resource *resources;
    uint32_t resource_count;
};
trp_err tri_task_pack(struct tri_packed *packed, const char *function, trp_value args, const struct tri_needs *needs,
                      const struct tri_handles *handles, trp_error *error); /* needs NULL: the defaults */
/* What a task's body says it needs; *present false: nothing, all is 0 in *needs. Cheap where absent: then nothing else
 * of the body is verified. */
trp_err tri_task_needs(const struct tri_section *section, struct tri_needs *needs, struct tri_spawn_scratch *scratch,
                       bool *present, trp_error *error);

/* Name { text; namespace }: LOOKUP, QUERY. Kill { drain_ms; }. Watch { event }. Log { actor; pid; line }. */
trp_err tri_name_pack(struct tri_packed *packed, const char *text, const char *namespace_, trp_error *error);
trp_err tri_name_unpack(const struct tri_section *section, const char **text, const char **namespace_,
                        trp_error *error);
trp_err tri_kill_pack(struct tri_packed *packed, int64_t drain_ms, bool allow_restart, trp_error *error);
trp_err tri_kill_unpack(const struct tri_section *section, int64_t *drain_ms, bool *allow_restart, trp_error *error);
trp_err tri_watch_pack(struct tri_packed *packed, uint32_t event, trp_error *error);
trp_err tri_watch_unpack(const struct tri_section *section, uint32_t *event, trp_error *error);
struct tri_log_line {
    const char *actor;
    int32_t pid;
    bool is_stderr;
    const char *text;
};
trp_err tri_log_pack(struct tri_packed *packed, const struct tri_log_line *line, trp_error *error);
trp_err tri_log_unpack(const struct tri_section *section, struct tri_log_line *line, trp_error *error);

/* module.fbs: Module: what one offers, as a Value (MAP {name, version, about, classes: [...], tasks: [...]}): it is only
 * for looking around, so it is the value that `trp_query("modules")` shows. Packed by tri_value_pack. */

#endif
