/*
 * codec.h - private to schemas/: the border between the C files, which know the structs, and codec*.cc, which know
 * FlatBuffers. Packing writes into memory that the C side has reserved, enough for the worst case; opening verifies
 * once and gives pointers into the data, which is 8-byte aligned.
 */
#ifndef TRI_CODEC_H
#define TRI_CODEC_H

#include "schemas/schemas.h"

enum {
    TRI_META_MAX = 1 << 28, /* bytes of FlatBuffer */
    TRI_TEXT_MAX = 65536,   /* texts for people are cut to this when packed, refused above it when read */
    TRI_CAUSES_MAX = 8,
};

/* Where a FlatBuffer is built (from the end of memory downwards), and where it then lies. */
struct tri_meta {
    uint8_t *memory; /* 16-byte aligned */
    size_t capacity;
    const uint8_t *data;
    size_t size;
};

/* Nodes of a value, as they lie in a verified FlatBuffer. */
struct tri_meta_nodes {
    const struct tri_wire_node *nodes;
    uint32_t count;
};

void tri_meta_pack_value(struct tri_meta *meta, const struct tri_meta_nodes *nodes);
void tri_meta_pack_call(struct tri_meta *meta, const char *method, const struct tri_meta_nodes *nodes,
                        const struct tri_needs *needs);
void tri_meta_pack_spawn(struct tri_meta *meta, const struct tri_spawn *spawn, const struct tri_meta_nodes *nodes);
void tri_meta_pack_error(struct tri_meta *meta, const struct tri_failure *const *chain, uint32_t count);
void tri_meta_pack_login(struct tri_meta *meta, const struct tri_login *login);
void tri_meta_pack_welcome(struct tri_meta *meta, const struct tri_welcome *welcome);
void tri_meta_pack_snapshot(struct tri_meta *meta, const struct tri_snapshot *snapshot);
void tri_meta_pack_ids(struct tri_meta *meta, const struct tri_id *ids, uint32_t count);
void tri_meta_pack_runs(struct tri_meta *meta, const struct tri_run *runs, uint32_t count);
void tri_meta_pack_lease(struct tri_meta *meta, const struct tri_lease *lease);
void tri_meta_pack_name(struct tri_meta *meta, const char *text, const char *namespace_);
void tri_meta_pack_kill(struct tri_meta *meta, int64_t drain_ms, bool allow_restart);
void tri_meta_pack_watch(struct tri_meta *meta, uint32_t event);
void tri_meta_pack_log(struct tri_meta *meta, const struct tri_log_line *line);

/* false: it does not verify. */
bool tri_meta_open_value(const uint8_t *data, size_t size, struct tri_meta_nodes *nodes);
bool tri_meta_open_call(const uint8_t *data, size_t size, const char **method, struct tri_meta_nodes *nodes);
/* Lists of more than TRI_SPAWN_LISTS_MAX do not verify. */
bool tri_meta_open_needs(const uint8_t *data, size_t size, struct tri_needs *needs, struct tri_spawn_scratch *scratch,
                         bool *present);
bool tri_meta_open_spawn(const uint8_t *data, size_t size, struct tri_spawn *spawn, struct tri_spawn_scratch *scratch,
                         struct tri_meta_nodes *nodes);
bool tri_meta_open_error(const uint8_t *data, size_t size, struct tri_failure chain[TRI_CAUSES_MAX], uint32_t *count);
bool tri_meta_open_login(const uint8_t *data, size_t size, struct tri_login *login);
bool tri_meta_open_welcome(const uint8_t *data, size_t size, struct tri_welcome *welcome);
bool tri_meta_open_snapshot(const uint8_t *data, size_t size, struct tri_snapshot *snapshot);
bool tri_meta_open_ids(const uint8_t *data, size_t size, const struct tri_id **ids, uint32_t *count);
bool tri_meta_open_runs(const uint8_t *data, size_t size, const struct tri_run **runs, uint32_t *count);
bool tri_meta_open_lease(const uint8_t *data, size_t size, struct tri_lease *lease);
bool tri_meta_open_name(const uint8_t *data, size_t size, const char **text, const char **namespace_);
bool tri_meta_open_kill(const uint8_t *data, size_t size, int64_t *drain_ms, bool *allow_restart);
bool tri_meta_open_watch(const uint8_t *data, size_t size, uint32_t *event);
bool tri_meta_open_log(const uint8_t *data, size_t size, struct tri_log_line *line);

#endif
