/*
 * soak_checker.c - reads what drivers and actors of a soak wrote down, and knows nothing else: every call has ended well, ran
 * exactly once, on the actor that it was made to, and the calls of a driver to an actor ran in the order made.
 *
 *     soak_checker DIR DRIVERS ACTORS CALLS_PER_DRIVER
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/soak/soak.h"

static void *
read_file(const char *directory, const char *kind, unsigned index, size_t item_size, size_t *count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%u", directory, kind, index);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "soak_checker: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    if (size < 0 || (size_t)size % item_size != 0) {
        fprintf(stderr, "soak_checker: %s: %ld bytes are not whole records\n", path, size);
        exit(1);
    }
    void *items = malloc((size_t)size + 1);
    *count = (size_t)size / item_size;
    if (items == NULL || fread(items, item_size, *count, file) != *count) {
        fprintf(stderr, "soak_checker: %s: cannot read\n", path);
        exit(1);
    }
    fclose(file);
    return items;
}

static unsigned long faults;

static void
fault(const char *what, unsigned driver, unsigned actor, unsigned number)
{
    if (faults++ < 20)
        fprintf(stderr, "soak_checker: call %u of driver %u to actor %u %s\n", number, driver, actor, what);
}

/* actor_of[driver * calls + number]: to whom it was made, plus one; ran: how often. */
static void
check_ends(const char *directory, unsigned driver, size_t calls, uint32_t *actor_of)
{
    size_t count;
    struct soak_end *ends = read_file(directory, "ended", driver, sizeof *ends, &count);
    for (size_t i = 0; i < count; i++) {
        if (ends[i].number >= calls) {
            fault("has a number that was never given", driver, ends[i].actor, ends[i].number);
            continue;
        }
        uint32_t *slot = &actor_of[driver * calls + ends[i].number];
        if (*slot != 0)
            fault("ended twice", driver, ends[i].actor, ends[i].number);
        if (ends[i].err != 0)
            fault("failed", driver, ends[i].actor, ends[i].number);
        else if (ends[i].value != (int32_t)ends[i].number)
            fault("returned another call's result", driver, ends[i].actor, ends[i].number);
        *slot = ends[i].actor + 1;
    }
    if (count != calls)
        fault("is how many ended", driver, 0, (unsigned)count);
    free(ends);
}

static void
check_runs(const char *directory, unsigned actor, unsigned drivers, size_t calls, const uint32_t *actor_of,
           uint8_t *ran)
{
    size_t count;
    struct soak_run *runs = read_file(directory, "ran", actor, sizeof *runs, &count);
    int64_t *last = malloc(drivers * sizeof *last);
    for (unsigned i = 0; i < drivers; i++)
        last[i] = -1;
    for (size_t i = 0; i < count; i++) {
        unsigned driver = runs[i].driver, number = runs[i].number;
        if (driver >= drivers || number >= calls) {
            fault("ran, but nobody made it", driver, actor, number);
            continue;
        }
        if (ran[driver * calls + number]++ != 0)
            fault("ran twice", driver, actor, number);
        if (actor_of[driver * calls + number] != actor + 1)
            fault("ran on an actor that it was not made to", driver, actor, number);
        if ((int64_t)number <= last[driver])
            fault("ran after a later one of its lane", driver, actor, number);
        last[driver] = number;
    }
    free(last);
    free(runs);
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: soak_checker DIR DRIVERS ACTORS CALLS_PER_DRIVER\n");
        return 2;
    }
    unsigned drivers = (unsigned)atoi(argv[2]), actors = (unsigned)atoi(argv[3]);
    size_t calls = (size_t)atol(argv[4]);
    uint32_t *actor_of = calloc(drivers * calls, sizeof *actor_of);
    uint8_t *ran = calloc(drivers * calls, 1);
    for (unsigned i = 0; i < drivers; i++)
        check_ends(argv[1], i, calls, actor_of);
    for (unsigned i = 0; i < actors; i++)
        check_runs(argv[1], i, drivers, calls, actor_of, ran);
    for (size_t i = 0; i < drivers * calls; i++)
        if (ran[i] == 0)
            fault("never ran", (unsigned)(i / calls), 0, (unsigned)(i % calls));
    printf("%zu calls ended, ran once and in order: %s (%lu faults)\n", drivers * calls, faults == 0 ? "yes" : "no",
           faults);
    free(actor_of);
    free(ran);
    return faults == 0 ? 0 : 1;
}
