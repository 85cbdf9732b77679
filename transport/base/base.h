/*
 * base.h - the ground floor: services that know nothing of messages. Everything else may include this; it includes
 * only the public error type.
 *
 * Threads: each object belongs to one thread at a time, except tri_buf's count, which is atomic.
 */
#ifndef TRI_BASE_H
#define TRI_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <troupe/base.h>

/* ------------------------------------------------------------------------------------------------------ assertions */

/* For our own bugs only, always on: prints file, line and text, then aborts. Bytes of others are refused, never asserted. */
#define TRI_ASSERT(condition)                                                                                          \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                                         \
            tri_assert_failed(__FILE__, __LINE__, #condition);                                                         \
    } while (0)
_Noreturn void tri_assert_failed(const char *file, int line, const char *condition);

/* Before a function that README's list of hops names: it stays one that a debugger finds, however much is optimised. */
#define TRI_HOP __attribute__((noinline, noclone))

/* ---------------------------------------------------------------------------------------------------------- errors */

/* Fills *error (may be NULL) with a code and a sentence, clears its other fields (rank -1, ran TRP_NOT_RUN), returns the
 * code: `return TRI_FAIL(error, TRP_ELIMIT, "node has %u actors, its limit", n);` */
#define TRI_FAIL(error, code, ...) tri_fail((error), (code), __VA_ARGS__)
trp_err tri_fail(trp_error *error, trp_err code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with errno's text behind it: "...: No space left on device". */
trp_err tri_fail_errno(trp_error *error, trp_err code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Where the system has refused something: what its errno means to a user (no permission, a full disk, too few of something),
 * or `otherwise`; and what to do about it, "" where nothing is known. EAGAIN is that of fork and of threads. */
trp_err tri_errno_code(int errnum, trp_err otherwise);
const char *tri_errno_remedy(int errnum);
/* tri_fail_errno with both: "cannot write x: No space left on device; free some room there (df), or remove files (df -i)". */
trp_err tri_fail_system(trp_error *error, trp_err otherwise, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ------------------------------------------------------------------------------------------------------------ room */

/* Whether this process may have `threads` more of the usual size, and `bytes` beside them, as its limits are (RLIMIT_AS,
 * RLIMIT_DATA). TRP_ELIMIT: the sentence has the numbers and the remedy. Costs two system calls where there is no limit. */
trp_err tri_room_for(unsigned threads, uint64_t bytes, trp_error *error);
bool tri_room_is_limited(void);
/* Whether threads can be started now: so many are, and end. More than any process of ours needs, so that others that start
 * meanwhile, as the node's first host does, do not take them away. TRP_ELIMIT. */
enum { TRI_ROOM_THREADS = 8 };
trp_err tri_room_try_threads(trp_error *error);

/* ------------------------------------------------------------------------------------------------------------- log */

enum tri_level { TRI_ERROR = 0, TRI_WARNING = 1, TRI_INFO = 2, TRI_DEBUG = 3 };
/* One line, "12:34:56.789 W broker: text", to stderr (or the descriptor set). Any thread. Library code does not log what
 * it returns. */
void tri_log(enum tri_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text of a line that another process of ours has logged, and its level in *level; any other line as it is. */
const char *tri_log_text(const char *line, enum tri_level *level);
void tri_log_setup(const char *program, enum tri_level level, int fd);

/* ----------------------------------------------------------------------------------------------------------- clock */

uint64_t tri_now_ns(void); /* CLOCK_MONOTONIC. Never called inside a pure part: time is passed in. */
/* From now on tri_now_ns gives this, in the whole process; 0: the system's time again. For tests of modules only. */
void tri_clock_stand(uint64_t now_ns);
#define TRI_NS_PER_MS UINT64_C(1000000)
#define TRI_NS_PER_S  UINT64_C(1000000000)
#define TRI_NEVER     UINT64_MAX

/* A small seeded generator (splitmix64) for tests, simulation and hashing seeds. */
uint64_t tri_random_next(uint64_t *state);
/* 64 bits that cannot be guessed, from getrandom. */
uint64_t tri_random_secret(void);

/* ------------------------------------------------------------------------------------------------------ identities */

/* The name of a call's result, an object or an actor: {incarnation of the process that made it, its counter}. All zero:
 * none. On the wire as it is (little-endian). */
struct tri_id {
    uint64_t space;
    uint64_t number;
};
static inline bool
tri_id_equal(struct tri_id a, struct tri_id b)
{
    return a.space == b.space && a.number == b.number;
}
static inline bool
tri_id_is_none(struct tri_id id)
{
    return id.space == 0 && id.number == 0;
}
#define TRI_ID_TEXT_SIZE 33
/* 32 hex digits and a NUL; returns text. parse: false unless exactly that. */
char *tri_id_format(struct tri_id id, char text[TRI_ID_TEXT_SIZE]);
bool tri_id_parse(const char *text, struct tri_id *id);

/* --------------------------------------------------------------------------------------------------------- buffers */

/* Where an object lies in the node's arena: what is said of a large buffer instead of sending it. On the wire as it is. */
struct tri_place {
    uint32_t frame; /* on the wire: which frame of its packet it stands for; else 0 */
    uint32_t slot, generation;
    uint32_t start; /* granule */
    uint64_t size;  /* bytes */
};

/*
 * A block of bytes with an owner count: made once, written by its maker until it is shared, then read-only. What a
 * received ZeroMQ frame, a batch or a packed value lies in. The count is atomic: libzmq's thread gives references back.
 */
struct tri_buf {
    _Atomic uint32_t references;
    uint8_t *data; /* 16-byte aligned, from 64 KiB on 64-byte, except of foreign memory */
    size_t size;
    const struct tri_place
        *place; /* not NULL: only this travels. `data` may be NULL then: whoever reads it maps the arena */
    void (*free)(struct tri_buf *); /* frees data and the struct */
    union {
        void *foreign; /* whatever free needs */
        size_t room;   /* of tri_buf_new's: what it was made for, of which `size` may show less */
    };
};
struct tri_buf *tri_buf_new(size_t size);                    /* NULL: no memory; not zeroed */
size_t tri_buf_room(const struct tri_buf *buf);              /* 0: not tri_buf_new's */
struct tri_buf *tri_buf_copy(const void *data, size_t size); /* NULL: no memory */
/* Memory that somebody writes for a while, 64-byte aligned; tri_buf_seal ends that: where it was made of pages, writing faults
 * from then on. `pages`: it is; else as this build has it (unoptimised ones do). NULL: no memory; not zeroed. */
struct tri_buf *tri_buf_room_new(size_t size, bool pages);
void tri_buf_seal(struct tri_buf *buf);
struct tri_buf *tri_buf_retain(struct tri_buf *buf); /* NULL passes */
void tri_buf_release(struct tri_buf **buf);          /* NULL passes; sets *buf to NULL */

/* ------------------------------------------------------------------------------------------------------ containers */

/* Intrusive doubly linked list. A head is a node linked to itself. */
struct tri_node {
    struct tri_node *next, *prev;
};
static inline void
tri_list_init(struct tri_node *head)
{
    head->next = head->prev = head;
}
static inline bool
tri_list_empty(const struct tri_node *head)
{
    return head->next == head;
}
static inline void
tri_list_append(struct tri_node *head, struct tri_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void
tri_list_remove(struct tri_node *node) /* harmless for a node that is linked to itself or zeroed */
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    node->next = node->prev = node;
}
#define TRI_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/*
 * Hash table from tri_id to a pointer: open hashing over intrusive links, grown in small steps (linear hashing, a bucket
 * per insert) so that no insert ever stops to rehash all. The entry lies in the caller's struct.
 */
struct tri_entry {
    struct tri_entry *next;
    struct tri_id id;
};
struct tri_table {
    struct tri_entry **segments[48]; /* segment s holds 2^s * TABLE_FIRST buckets */
    size_t count, buckets, split, level_size;
    uint64_t seed;
};
trp_err tri_table_init(struct tri_table *table, uint64_t seed);
void tri_table_fini(struct tri_table *table); /* frees the buckets, not the entries */
/* Makes sure that the next `n` inserts cannot fail: TRP_ENOMEM otherwise. */
trp_err tri_table_reserve(struct tri_table *table, size_t n);
void tri_table_insert(struct tri_table *table,
                      struct tri_entry *entry); /* id not present; reserved before, or asserts */
struct tri_entry *tri_table_find(const struct tri_table *table, struct tri_id id); /* NULL: absent */
void tri_table_remove(struct tri_table *table, struct tri_entry *entry);
/* Visits all entries; `visit` may remove the entry that it was given, nothing else. */
void tri_table_each(struct tri_table *table, void (*visit)(struct tri_entry *entry, void *user), void *user);
/* For text keys: a 128-bit id made of the text, with the table's seed left out so that it is stable. */
struct tri_id tri_id_of_text(const char *text, size_t size);

/* Growing array of fixed-size items: TRI_RESERVE(items, count, capacity, more) -> bool. Doubles. */
bool tri_array_reserve(void **items, size_t *capacity, size_t needed, size_t item_size);
#define TRI_RESERVE(items, capacity, needed)                                                                           \
    tri_array_reserve((void **)&(items), &(capacity), (needed), sizeof *(items))

/* ----------------------------------------------------------------------------------------------------------- bytes */

static inline size_t
tri_pad8(size_t size)
{
    return (size + 7) & ~(size_t)7;
}
/* strlcpy's job: copies as much as fits with its NUL, never half a character; returns dest. */
char *tri_text_copy(char *dest, size_t size, const char *text);
/* How many bytes, from the front, are text: UTF-8 (RFC 3629) without a NUL. `size`: all of them are. */
size_t tri_text_valid(const char *text, size_t size);
/* A part of a file: 0, or errno. *got is less than `size` only at the file's end. */
int tri_read_at(int fd, void *to, size_t size, uint64_t offset, size_t *got);
/* For words that come from anywhere, such as what a program printed: bytes that are no text become '?'. */
void tri_text_clean(char *text, size_t size);

#endif
