/*
 * stage.h - a conformance row runs three times: on a private node, on a node service that the test starts, in local mode.
 * A row is a function of a runtime; ROW makes the three tests of it, ROW_WITH_BROKER the first two,
 * ROW_WITH_STORE all three, with a store of a size.
 */
#ifndef STAGE_H
#define STAGE_H

#include <criterion/criterion.h>
#include <troupe/troupe.h>

enum stage_mode { STAGE_PRIVATE, STAGE_SERVICE, STAGE_LOCAL };

/* Runs the row with a runtime of that kind, shuts down and checks that no process and no directory stays behind. */
void stage_run(enum stage_mode mode, void (*row)(trp_runtime *rt));
/* The same with a store of so many bytes; SKIP where /dev/shm has not so many. */
void stage_run_with_store(enum stage_mode mode, long store, void (*row)(trp_runtime *rt));
enum stage_mode stage_mode(void);
void stage_shutdown(void);              /* before the end of the row: its runtime is gone then */
const char *stage_directory(void);      /* a directory for files of the row, removed afterwards */
const char *stage_node_directory(void); /* of the service; NULL otherwise */

#define ROW_WITH_BROKER(name)                                                                                          \
    static void name(trp_runtime *rt);                                                                                 \
    Test(private_node, name, .timeout = 60)                                                                            \
    {                                                                                                                  \
        stage_run(STAGE_PRIVATE, name);                                                                                \
    }                                                                                                                  \
    Test(node_service, name, .timeout = 60)                                                                            \
    {                                                                                                                  \
        stage_run(STAGE_SERVICE, name);                                                                                \
    }                                                                                                                  \
    static void name(trp_runtime *rt)

#define ROW(name)                                                                                                      \
    static void name(trp_runtime *rt);                                                                                 \
    Test(local_mode, name, .timeout = 60)                                                                              \
    {                                                                                                                  \
        stage_run(STAGE_LOCAL, name);                                                                                  \
    }                                                                                                                  \
    ROW_WITH_BROKER(name)

#define ROW_WITH_STORE(name, bytes)                                                                                    \
    static void name(trp_runtime *rt);                                                                                 \
    Test(private_node, name, .timeout = 60)                                                                            \
    {                                                                                                                  \
        stage_run_with_store(STAGE_PRIVATE, bytes, name);                                                              \
    }                                                                                                                  \
    Test(node_service, name, .timeout = 60)                                                                            \
    {                                                                                                                  \
        stage_run_with_store(STAGE_SERVICE, bytes, name);                                                              \
    }                                                                                                                  \
    Test(local_mode, name, .timeout = 60)                                                                              \
    {                                                                                                                  \
        stage_run_with_store(STAGE_LOCAL, bytes, name);                                                                \
    }                                                                                                                  \
    static void name(trp_runtime *rt)

/* Calls that must succeed; values are good until the reference is released, so the text of a value is what is compared. */
trp_actor *stage_spawn(trp_runtime *rt, const char *class_name, trp_value args, const char *name);
trp_ref *stage_call(trp_actor *actor, const char *method, trp_value args);
trp_ref *stage_task(trp_runtime *rt, const char *function, trp_value args);
trp_ref *stage_put(trp_runtime *rt, trp_value value);
/* Gets within 20 s and compares the value's text (trp_format); releases the reference. */
void stage_expect(trp_ref *ref, const char *text);
/* Gets and wants this failure; leaves *error filled; releases the reference. */
void stage_expect_error(trp_ref *ref, trp_err err, trp_error *error);
/* Calls, gets, compares. */
void stage_says(trp_actor *actor, const char *method, trp_value args, const char *text);

#endif
