/*
 * lines.h - lines for a log or a terminal: cutting a stream into them, how many may be printed, the last ones. Pure; it must not know
 * who prints.
 */
#ifndef TRI_LINES_H
#define TRI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRI_LINE_MAX = 4096, /* longer ones are cut */
    TRI_LINES_PER_S = 1000,
    TRI_LINES_BURST = 2000,
    TRI_RECENT_LINES = 20,
    TRI_RECENT_WIDTH = 240,
};
struct tri_rate {
    uint64_t last_ns, milli; /* thousandths of a line that may be printed now */
    uint64_t left_out;       /* since the last line that went out */
};
bool tri_rate_take(struct tri_rate *rate, uint64_t now_ns);

struct tri_recent {
    unsigned next;
    char text[TRI_RECENT_LINES][TRI_RECENT_WIDTH];
};
void tri_recent_add(struct tri_recent *recent, const char *line);
/* The last lines, each with its end, oldest first; what does not fit is left out at the front. */
void tri_recent_format(const struct tri_recent *recent, char *text, size_t size);

/* Cuts a stream into lines. */
struct tri_lines {
    char *text; /* TRI_LINE_MAX + 1 bytes, when there is something */
    size_t size;
};
typedef void tri_line_fn(void *user, const char *line);
void tri_lines_feed(struct tri_lines *lines, const char *data, size_t size, tri_line_fn *emit, void *user);
void tri_lines_flush(struct tri_lines *lines, tri_line_fn *emit, void *user); /* a last line without an end; frees */

#endif
