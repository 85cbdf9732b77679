/*
 * page.h - answers to questions about what the broker knows, as values. Private to broker/core. It knows no question: query.c
 * and why.c do.
 */
#ifndef TRI_PAGE_H
#define TRI_PAGE_H

#include "broker/core/state.h"

struct tri_page_block;

/* What holds an object from inside the broker (holders.c). */
struct tri_held {
    const struct tri_thing *thing;
    const struct tri_pending *call; /* on its way with the name; NULL: */
    const struct tri_object *in;    /* its value has the name in it */
};

/* A list of maps that is being made. Texts are copied in; rows beyond `limit` are for the caller to leave out. */
struct tri_page {
    struct tri_core *core;
    const struct tri_object *subject; /* of "why"; NULL: it is none */
    struct tri_held *held;            /* by thing; of those with core->mark */
    struct tri_pinning *pins;
    size_t held_count, held_capacity, pin_count;
    trp_value *rows, *entries;
    struct tri_page_block *blocks;
    size_t row_count, entry_count;
    size_t first;          /* entry of the row that is being made */
    size_t limit, row_max; /* rows; fields of one */
};

/* Room for so many rows, 4096 at most. Whether there is memory; tri_page_fini in every case. */
bool tri_page_init(struct tri_page *page, struct tri_core *core, size_t rows);
void tri_page_fini(struct tri_page *page);

/* A row: its fields, and then its end. Keys are literals; strings of tri_page_put live as long as the page. */
void tri_page_put(struct tri_page *page, const char *key, trp_value value);
void tri_page_text(struct tri_page *page, const char *key, const char *text);
void tri_page_id(struct tri_page *page, const char *key, struct tri_id id);
void tri_page_end_row(struct tri_page *page);
trp_value *tri_page_values(struct tri_page *page, size_t count); /* for what is in a row; NULL: no memory */
trp_value tri_page_string(struct tri_page *page, const char *text);
double tri_seconds_since(const struct tri_core *core, uint64_t since_ns);

/* holders.c: what lists and `why` say of one. */
const char *tri_call_state(const struct tri_pending *call);
/* For rows about the objects that have core->mark; before the first. Whether there is memory. */
bool tri_holders_find(struct tri_page *page);
/* Of one of these: its size, where it lies, who holds it and has it pinned, how long it is known here. */
void tri_page_object(struct tri_page *page, const struct tri_object *object);
const char *tri_object_state(const struct tri_object *object);
const char *tri_object_location(const struct tri_object *object); /* "": it has no value yet */
size_t tri_object_pins(const struct tri_page *page, const struct tri_object *object, const struct tri_pinning **first);
/* why.c: the chain of what a result or an actor waits for, a row for each link. */
bool tri_page_why(struct tri_core *core, struct tri_page *page, const char *what);

#endif
