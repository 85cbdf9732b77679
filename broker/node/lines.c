/*
 * lines.c - what hosts print: a stream cut into lines, how many may go on per second, and the last ones for the death
 * record. Pure; it knows no process and no descriptor.
 */
#include "broker/node/lines.h"

#include <stdlib.h>
#include <string.h>

#include "transport/base/base.h"

bool
tri_rate_take(struct tri_rate *rate, uint64_t now_ns)
{
    enum { MILLI = 1000, NS_PER_MILLI = TRI_NS_PER_S / (TRI_LINES_PER_S * MILLI) };
    const uint64_t full = (uint64_t)TRI_LINES_BURST * MILLI;
    uint64_t earned = rate->last_ns == 0 ? full : (now_ns - rate->last_ns) / NS_PER_MILLI;
    if (earned >= full - rate->milli) {
        rate->milli = full;
        rate->last_ns = now_ns;
    } else {
        rate->milli += earned;
        rate->last_ns += earned * NS_PER_MILLI; /* what is less than a thousandth counts next time */
    }
    if (rate->milli < MILLI) {
        rate->left_out++;
        return false;
    }
    rate->milli -= MILLI;
    return true;
}

void
tri_recent_add(struct tri_recent *recent, const char *line)
{
    tri_text_copy(recent->text[recent->next % TRI_RECENT_LINES], TRI_RECENT_WIDTH, line);
    recent->next++;
}

void
tri_recent_format(const struct tri_recent *recent, char *text, size_t size)
{
    unsigned count = recent->next < TRI_RECENT_LINES ? recent->next : TRI_RECENT_LINES;
    unsigned first = recent->next - count;
    size_t total = 0;
    for (unsigned i = first; i < recent->next; i++)
        total += strlen(recent->text[i % TRI_RECENT_LINES]) + 1;
    for (; first < recent->next && total + 1 > size; first++)
        total -= strlen(recent->text[first % TRI_RECENT_LINES]) + 1;
    size_t at = 0;
    for (unsigned i = first; i < recent->next; i++) {
        const char *line = recent->text[i % TRI_RECENT_LINES];
        size_t length = strlen(line);
        memcpy(text + at, line, length);
        text[at + length] = '\n';
        at += length + 1;
    }
    text[at] = '\0';
}

/* Zeros inside a line would end its text early. */
static void
append(struct tri_lines *lines, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        lines->text[lines->size++] = data[i] != '\0' ? data[i] : ' ';
}

static void
emit_line(struct tri_lines *lines, tri_line_fn *emit, void *user)
{
    if (lines->size > 0 && lines->text[lines->size - 1] == '\r')
        lines->size--;
    lines->text[lines->size] = '\0';
    lines->size = 0;
    emit(user, lines->text);
}

void
tri_lines_feed(struct tri_lines *lines, const char *data, size_t size, tri_line_fn *emit, void *user)
{
    if (lines->text == NULL && (lines->text = malloc(TRI_LINE_MAX + 1)) == NULL)
        return; /* a host's output is the first thing that we can do without */
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        size_t room = TRI_LINE_MAX - lines->size;
        size_t taken = length < room ? length : room;
        append(lines, data, taken);
        data += taken;
        size -= taken;
        if (taken < length) {
            emit_line(lines, emit, user);
        } else if (end != NULL) {
            emit_line(lines, emit, user);
            data++;
            size--;
        }
    }
    if (lines->size == 0) {
        free(lines->text);
        lines->text = NULL;
    }
}

void
tri_lines_flush(struct tri_lines *lines, tri_line_fn *emit, void *user)
{
    if (lines->size > 0)
        emit_line(lines, emit, user);
    free(lines->text);
    *lines = (struct tri_lines){0};
}
