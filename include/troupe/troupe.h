/*
 * troupe/troupe.h - all of Troupe: actors, tasks and objects in C, across processes.
 *
 *     base.h      errors, values
 *     dlpack.h    tensors of other libraries
 *     runtime.h   drivers: spawn, call, get, wait, put, watch, callbacks
 *     module.h    modules: classes, methods, tasks, replies
 *
 * A driver, complete:
 *
 *     trp_runtime *rt = NULL;
 *     trp_actor *counter = NULL;
 *     trp_ref *ref = NULL;
 *     trp_value total;
 *     trp_error error;
 *
 *     if (trp_init(NULL, &rt, &error) || trp_spawn(rt, "counter:Counter", TRP_NOARGS, NULL, &counter, &error) ||
 *         trp_call(counter, "increment", TRP_ARGS(5), &ref, &error) || trp_get(ref, 1000, &total, &error))
 *         fprintf(stderr, "%s\n", error.message);
 *     else
 *         printf("%" PRId64 "\n", trp_as_i64(total));
 *     trp_ref_release(&ref);
 *     trp_actor_release(&counter);
 *     trp_shutdown(&rt);
 *
 * What holds everywhere is at the top of runtime.h; the reasons are in docs/decisions.md.
 */
#ifndef TROUPE_TROUPE_H
#define TROUPE_TROUPE_H

#include <troupe/base.h>
#include <troupe/module.h>
#include <troupe/runtime.h>

#endif
