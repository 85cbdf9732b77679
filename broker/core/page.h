/*
 * page.h - answers to questions about what the broker knows, as values. Private to broker/core. It knows no question: query.c
 * and why.c do.
 */
#ifndef TRI_PAGE_H
#define TRI_PAGE_H

#include "broker/core/state.h"

/* A list of maps that is being made. Texts are copied in; rows beyond `limit` are for the caller to leave out. */
struct tri_page {
    struct tri_core *core;
    uint32_t *pins; /* of objects, by slot; NULL where nobody asked */
    trp_value *rows, *entries;
    char *texts;
    size_t row_count, entry_count, text_size, text_capacity;
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
double tri_seconds_since(const struct tri_core *core, uint64_t since_ns);

/* query.c: what `ls calls` says of it. */
const char *tri_call_state(const struct tri_pending *call);
/* why.c: the chain of what a result or an actor waits for, a row for each link. */
bool tri_page_why(struct tri_core *core, struct tri_page *page, const char *what);

#endif
