/*
 * time.c - times: the clock, and as people write and read them. One thread; it waits for nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli/cli.h"

int64_t
tri_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
tri_clock_ms(void)
{
    return tri_clock_ns() / 1000000;
}

void
tri_seconds_text(double s, char *text, size_t size)
{
    const long long whole = (long long)s;

    if (s < 0)
        (void)snprintf(text, size, "unknown");
    else if (whole < 60)
        (void)snprintf(text, size, "%.1fs", s);
    else if (whole < 3600)
        (void)snprintf(text, size, "%lldm%llds", whole / 60, whole % 60);
    else if (whole < 24 * 3600)
        (void)snprintf(text, size, "%lldh%lldm", whole / 3600, whole % 3600 / 60);
    else
        (void)snprintf(text, size, "%lldd%lldh", whole / (24 * 3600), whole % (24 * 3600) / 3600);
}

bool
tri_read_time(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
    char *end = NULL;
    double taken;

    if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
        return false;
    taken = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0 && memchr(text, 'x', 2) == NULL && taken * units[i].ms < 1e15) {
            *ms = (int64_t)(taken * units[i].ms + 0.5);
            return true;
        }
    return false;
}

int
tri_take_time(struct tri_cli *cli, const char *what, const char *text, int64_t *ms)
{
    if (tri_read_time(text, ms))
        return TRI_EXIT_OK;
    return tri_refuse(cli, "%s needs " TRI_TIME_WANTED ", got '%s'", what, text);
}
