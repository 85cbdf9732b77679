/*
 * process.h - what a process has of its node's arena: the mappings, its leases, its slots and its pins. It makes buffers for new
 * objects in a lease, without asking anybody, and buffers for objects of others where they lie.
 *
 * A buffer of a new object is written before anybody else hears of it, and read-only from then on. It is pinned in this process's
 * table until a broker has it; if it ends and was never told of, its room and its slot are this process's again. A buffer
 * of another object has no data until it is pinned: until then, and after, the broker may take it out of the arena.
 * While a buffer lives its slot is not given to another object, which is the broker's business: it counts who holds the object.
 *
 * Any thread: it has a lock of its own, below all others. Its buffers may be released by any thread, and outlive tri_store_end.
 */
#ifndef TRI_STORE_PROCESS_H
#define TRI_STORE_PROCESS_H

#include "store/pins.h"
#include "store/space.h"

struct tri_store;

enum { TRI_STORE_FDS = 3 }; /* arena, words, pins: in this order through the side door */

/* What the broker said of it in WELCOME. */
struct tri_store_shape {
    uint32_t granules; /* of the arena; not 0 */
    uint32_t slots;
    uint32_t table; /* number of this process's table of pins */
};

/* Takes the descriptors over, also when it fails. Nothing is mapped yet. TRP_EPROTO: they are no such memory. TRP_ENOMEM. */
trp_err tri_store_begin(const int fds[TRI_STORE_FDS], const struct tri_store_shape *shape, struct tri_store **made,
                        trp_error *error);
/* The process has done with it: it makes no more buffers. NULL passes; sets NULL. */
void tri_store_end(struct tri_store **store);

/* A buffer of `size` bytes (1 to TRI_STORED_MAX) for a new object. NULL: there is no room; *wanted says how many granules in a row
 * are to be asked for (0: it is no matter of room but of this process: no memory, no pin is left). */
struct tri_buf *tri_store_take(struct tri_store *store, uint64_t size, uint32_t *wanted);
/* What was written into one of tri_store_take's is final: whoever writes there from now on is stopped (SIGSEGV), as far as store/
 * seals.h says, and `data` is where it can only be read. Of other buffers: tri_buf_seal. */
void tri_store_seal(struct tri_buf *buf);
/* The same of one of which nobody else has had the data: no page needs to be closed. Others pass. */
void tri_store_written(struct tri_buf *buf);
/* The broker is going to hear of all that of a packet's frames which lies in the arena. */
struct tri_packet;
void tri_store_tell(struct tri_buf *const *frames, uint32_t count);

/* A lease came. TRP_EPROTO: it lies outside of the arena. */
trp_err tri_store_lease(struct tri_store *store, struct tri_span run, const uint32_t *slots, uint32_t slot_count,
                        trp_error *error);
/* Room that is not in use goes back: a piece of fewer than `least` granules; with `least` TRI_ALL_GRANULES any. false: there is none. */
#define TRI_ALL_GRANULES UINT32_MAX
bool tri_store_give(struct tri_store *store, uint32_t least, struct tri_span *run);
/* And so do up to `most` slots of no object. Returns how many. */
uint32_t tri_store_give_slots(struct tri_store *store, uint32_t *slots, uint32_t most);

/* What was told of: it is pinned for its maker's sake until the broker has seen it. To be called when something came from there. */
void tri_store_settle(struct tri_store *store);

/* The buffer of an object of others, or of an own one that comes back, not pinned: without data. TRP_EPROTO: there can be no such
 * place. TRP_ENOMEM. */
trp_err tri_store_find(struct tri_store *store, const struct tri_place *place, struct tri_buf **buf, trp_error *error);
/* One more that reads it. TRI_PINNED: buf->data is good until as many tri_store_unpin, or the buffer's end; where the table is full it
 * is a copy. TRI_PIN_GONE: it is not there. TRI_PIN_FULL: no memory for that copy. */
enum tri_pinned tri_store_pin(struct tri_buf *buf);
void tri_store_unpin(struct tri_buf *buf);
bool tri_store_is_resident(struct tri_buf *buf); /* just now */

/* Of one that is pinned: others read it from now on, whatever becomes of the process's part in the node; until they give it back. */
void tri_store_lend(struct tri_buf *buf);
void tri_store_lent_back(struct tri_buf *buf);
bool tri_store_has_lent(struct tri_store *store);

#endif
