/*
 * clock.c - time, processor time, and small arithmetic over measured values. Any thread, except tri_limit_think's first
 * call. It must not know what is measured.
 */
#include "bench/limits/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

trp_err
tri_limit_fail(trp_error *error, const char *format, ...)
{
    va_list arguments;

    if (error != NULL) {
        memset(error, 0, sizeof *error);
        error->code = TRP_EUNAVAILABLE;
        error->rank = -1;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return TRP_EUNAVAILABLE;
}

void
tri_limit_sleep_until(uint64_t then_ns)
{
    static _Thread_local bool slack_is_set;
    struct timespec then = {(time_t)(then_ns / 1000000000u), (long)(then_ns % 1000000000u)};

    if (!slack_is_set) {
        prctl(PR_SET_TIMERSLACK, 1ul);
        slack_is_set = true;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) == EINTR)
        ;
}

uint64_t
tri_limit_cpu_ns(int pid)
{
    clockid_t clock;
    struct timespec spent;

    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0)
        return 0;
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static void
compute(uint64_t steps)
{
    uint64_t x = steps;

    for (uint64_t i = 0; i < steps; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
}

void
tri_limit_think(uint64_t ns)
{
    enum { CALIBRATION_STEPS = 2000000 };
    static double steps_per_ns;

    if (steps_per_ns == 0) {
        uint64_t before = tri_limit_now_ns();
        compute(CALIBRATION_STEPS);
        steps_per_ns = (double)CALIBRATION_STEPS / (double)(tri_limit_now_ns() - before);
    }
    compute((uint64_t)((double)ns * steps_per_ns));
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t
tri_limit_percentile(uint64_t *values, size_t count, double percent)
{
    size_t rank;

    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    rank = (size_t)((double)count * percent / 100.0);
    return values[rank < count ? rank : count - 1];
}
