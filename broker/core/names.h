/*
 * names.h - the directory: which actor has a name, and why the last bearers of others died. Private to broker/core/.
 */
#ifndef TRI_CORE_NAMES_H
#define TRI_CORE_NAMES_H

#include "broker/core/stock.h"

struct tri_core;
struct tri_actor;
struct tri_peer;

struct tri_name {
    struct tri_actor *actor;
    uint32_t hash;
    char text[]; /* "namespace/name" */
};

enum { TRI_NAME_LONG = 2 * TRI_LINE }; /* bytes of a record */

/* A bucket is one line of the cache. */
#define TRI_NAME_SEGMENTS 40
struct tri_name_slot {
    struct tri_name_slot *next; /* chained */
    struct tri_actor *actor;    /* NULL: empty */
    struct tri_id id;           /* of the actor */
    uint32_t hash;
    uint16_t size;
    union {
        char text[24];          /* "namespace/name", if it is no longer */
        struct tri_name *apart; /* else it is there */
    } as;
};
/* What is looked for. */
struct tri_key {
    const char *name; /* in text */
    size_t size;
    uint32_t hash;
    char text[2 * TRI_NAME_MAX + 2]; /* "namespace/name" */
};
/* A LOOKUP that was read and not answered (directory.c). More of them than the caches can miss for at once gain nothing. */
struct tri_asked {
    struct tri_peer *peer;
    struct tri_id result;
    struct tri_key key;
};
enum { TRI_ASKED_MAX = 24 };
enum { TRI_EPITAPHS = 64 };
struct tri_epitaph {
    char *name; /* "namespace/name"; NULL: none */
    char *why;
};

struct tri_names {
    struct tri_name_slot *segments[TRI_NAME_SEGMENTS]; /* segment s holds 2^s * 64 buckets */
    void *raw[TRI_NAME_SEGMENTS];                      /* what was allocated for them */
    struct tri_pool chained;
    struct tri_pool long_ones; /* names of TRI_NAME_LONG bytes at most that do not lie in their slots */
    size_t count, buckets, split, level_size;
    uint64_t seed;
};

trp_err tri_names_init(struct tri_names *names, uint64_t seed);
void tri_names_fini(struct tri_names *names); /* frees the buckets; of the names only those from its pool */
void tri_name_drop(struct tri_names *names, struct tri_name *name);
trp_err tri_name_check(const char *text, const char *namespace_, trp_error *error);
void tri_key_set(const struct tri_core *core, struct tri_key *key, const char *namespace_, const char *name);
void tri_key_fetch(const struct tri_core *core, const struct tri_key *key); /* begins to fetch the bucket */
void tri_key_near(const struct tri_core *core, const struct tri_key *key);  /* the actor, or a chained slot */
/* NULL: nobody has it. *id is the actor's: there sooner than the actor itself. */
struct tri_actor *tri_key_find(const struct tri_core *core, const struct tri_key *key, struct tri_id *id);
struct tri_actor *tri_name_find(const struct tri_core *core, const char *namespace_, const char *name,
                                struct tri_id *id);
trp_err tri_name_bind(struct tri_core *core, struct tri_actor *actor, const char *namespace_, const char *name,
                      trp_error *error);
void tri_name_free(struct tri_core *core, struct tri_actor *actor);
void tri_epitaph_add(struct tri_core *core, const struct tri_actor *actor); /* it dies, and has its name still */
/* Why the last bearer of a name died; NULL: that is not known. */
const char *tri_epitaph_find(const struct tri_core *core, const struct tri_key *key);
void tri_epitaphs_fini(struct tri_core *core);

#endif
