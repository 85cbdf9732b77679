/*
 * declared.h - what the rows of tasks declare, as far as hosts have described their modules: needs and retries, for calls
 * that do not say it themselves. Pure; one thread at a time.
 */
#ifndef TRI_CORE_DECLARED_H
#define TRI_CORE_DECLARED_H

#include "schemas/schemas.h"

enum { TRI_DECLARED_MAX = 65536, TRI_USUAL_RETRIES = 3 };

struct tri_declared { /* a task's row, where it is not the usual: one CPU, three retries */
    char *name;       /* "module:function" */
    double num_cpus, num_gpus;
    uint64_t memory_bytes;
    int32_t max_retries; /* 0: none; -1: always */
};
struct tri_declared_table {
    struct tri_declared *rows; /* by name */
    size_t count, capacity;
    size_t needing; /* of them: that do not need just one CPU */
};

/* Takes the description of a module, a verified Value, in place of what the table had of it. TRP_EPROTO: a task's numbers
 * make no sense; TRP_ELIMIT, TRP_ENOMEM: there is no room; then nothing has changed. */
trp_err tri_declared_take(struct tri_declared_table *table, const struct tri_view *view, trp_error *error);
/* NULL: it is not known, or as usual. */
const struct tri_declared *tri_declared_find(const struct tri_declared_table *table, const char *name);
bool tri_declared_needs(const struct tri_declared *row); /* other than one CPU */
void tri_declared_fini(struct tri_declared_table *table);

/* The value under `key` of the MAP at node `map`; 0: none, or no MAP. */
uint32_t tri_described(const struct tri_view *view, uint32_t map, const char *key);

#endif
