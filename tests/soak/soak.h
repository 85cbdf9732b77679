/* soak.h - the records that soak's drivers and actors write, and its checker reads. */
#ifndef SOAK_H
#define SOAK_H

#include <stdint.h>

/* One execution, in an actor's file "ran.ACTOR", in the order of executions. */
struct soak_run {
    uint32_t driver, number;
};

/* One call's end, in a driver's file "ended.DRIVER", in the order of numbers. */
struct soak_end {
    uint32_t actor, number;
    int32_t err;   /* trp_err */
    int32_t value; /* what the call returned: its own number */
};

#endif
