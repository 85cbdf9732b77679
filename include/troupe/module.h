/*
 * troupe/module.h - what a module's author includes: how methods are written, and the tables that offer them.
 *
 * A module is a shared object, <name>.so, whose one exported symbol is a constant description, written by TRP_MODULE.
 * It links nothing: the host has libtroupe. The same source linked into a program, or a test, works in local mode,
 * without dlopen (trp_config.modules). Methods and tasks run in worker hosts, one process per actor; a crash is the
 * host's end, not the caller's. No exception may leave a function that is called from here.
 */
#ifndef TROUPE_MODULE_H
#define TROUPE_MODULE_H

#include <troupe/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct trp_ctx trp_ctx;

/* ---------------------------------------------------------------------------------------- inside of a method */

/* Where and as what something runs; strings are "" where there is nothing to say. Ranks and groups are those of somebody
 * alone (rank 0 of 1) for every actor and task of this release. */
typedef struct trp_place {
    const char *node;
    const char *name;   /* the actor's */
    const char *group;  /* that it is one of several in */
    int32_t rank;       /* 0-based in the group */
    int32_t world_size; /* 1 outside of any */
    int32_t local_rank;
    int32_t local_world_size;
    const char *master_addr; /* where rank 0 is */
    int32_t master_port;     /* -1: none */
    int64_t seed;
    uint32_t restarts; /* how often this actor was restarted */
} trp_place;

/*
 * One execution of a method or task: made by the host, for the thread that runs it, until
 * it returns. Read only; the struct, like trp_place, grows at its end.
 *
 *   args      one value for each parameter in the row, in that order, of the kind stated, defaults and keywords filled
 *             in: a call that does not fit is refused before. Until the function returns, or its reply is given
 *   runtime   the actor's own place to call from, for as long as its state. What this thread calls through it is a
 *             child of this execution: it inherits the deadline and is cancelled with it
 *   actor     itself, to pass on or kill, for as long as its state; does not keep it alive. NULL in a task
 *   error     where functions that take a ctx report. Passed on, it makes another's failure this one's, with its cause:
 *             TRP_TRY(trp_get(ref, 1000, &value, ctx->error));
 *
 * Functions that take a ctx give TRP_EINVAL, false or NULL where it is NULL.
 */
struct trp_ctx {
    const trp_value *args;
    trp_runtime *runtime;
    trp_actor *actor;
    const trp_place *place;
    trp_error *error;
};

/*
 * The function of a method. `self` is the actor's state; no lock is needed while its class's max_concurrency is 1.
 * Return trp_return(ctx, value); TRP_OK alone returns null. Any failure is the caller's TRP_ETASK, with the words in
 * ctx->error, and `self` stays as it was left; but TRP_ESTOP, the end of an iteration, stays what it is. To end the
 * thread that it runs on (pthread_exit) is a crash; in local mode that thread, and the crash, are the program's.
 */
typedef trp_err trp_method_fn(trp_ctx *ctx, void *self);

/* The function of a task: the same without a state. */
typedef trp_err trp_task_fn(trp_ctx *ctx);

/* The result. The value is packed before this returns. TRP_EALREADY: there is one already. TRP_ELIMIT: it has more
 * than 64 MiB. */
TRP_API trp_err trp_return(trp_ctx *ctx, trp_value value);

/* The same in place, as trp_put_begin: tensors without data get room in the result, which is sealed when the function returns
 * TRP_OK. If it fails, nobody sees what was written. */
TRP_API trp_err trp_return_begin(trp_ctx *ctx, trp_value value);

/* The result is what `ref` will be, value or error. Nobody waits: the actor goes on with its next call. */
TRP_API trp_err trp_delegate(trp_ctx *ctx, trp_ref *ref);

/* Fails with a sentence. `cause` is any number that tells callers what to do, as trp_error.cause; a trp_err if one
 * fits. Returns TRP_ETASK: `return trp_fail(ctx, TRP_ENOENT, "The board is empty.");` */
TRP_API trp_err trp_fail(trp_ctx *ctx, int32_t cause, const char *format, ...) TRP_PRINTF(3, 4);

/*
 * Delayed replies. After trp_defer the function returns TRP_OK, the actor takes its next call, and whoever holds the
 * token answers later, once, from any thread; `*reply` is then NULL. Values are packed before these return. Has the
 * caller gone, nothing happens. If the actor ends first, the call fails; answering afterwards is harmless.
 *
 * `*reply` is NULL before trp_defer. TRP_EALREADY: `*reply` has a token still, whose caller would never be answered,
 * or this call has its reply.
 */
typedef struct trp_reply trp_reply;
TRP_API TRP_CHECKED trp_err trp_defer(trp_ctx *ctx, trp_reply **reply);
TRP_API void trp_reply_value(trp_reply **reply, trp_value value);
TRP_API void trp_reply_fail(trp_reply **reply, int32_t cause, const char *format, ...) TRP_PRINTF(3, 4);

/* Nobody waits for this reply any more: somebody has cancelled the call (trp_cancel), its deadline has passed, or its actor has
 * ended. It is to be answered all the same, which does nothing but give up the token. Any thread that holds the token; cheap
 * in inner loops. False where `reply` is NULL. */
TRP_API bool trp_reply_cancelled(const trp_reply *reply);

/* Somebody has cancelled it (trp_cancel), or its deadline has passed, or the same of a call which it was made for: leave with
 * TRP_ECANCELLED. Any thread, while the method runs; cheap in inner loops. */
TRP_API bool trp_cancelled(const trp_ctx *ctx);

/* Memory until the function returns, or its reply is given: zeroed, aligned for anything. NULL: there is no more. */
TRP_API void *trp_alloc(trp_ctx *ctx, size_t size);

/* ------------------------------------------------------------------------------------------------ the tables */

/*
 * Tables are constant rows, ended by a zero row ({0} in C, {} in C++); a row names the fields it sets. Their sizes are
 * stamped into the module, so that rows can grow at their end.
 *
 * `args` describes parameters, for checking, for keywords and defaults:
 *
 *     "name:s, score:d"           two, both needed
 *     "n:i=1"                     a default, in JSON; `=null` lets it be absent
 *     "x:t, labels:[i], ..."      further ones are let through, as two more values: LIST of positional, MAP of keywords
 *     NULL or ""                  none
 *
 * with the letters of trp_check. Bad rows are refused when the module loads, by name and reason.
 */
typedef struct trp_method {
    const char *name;
    trp_method_fn *fn;
    const char *args TRP_0;
    const char *about TRP_0; /* one line for people */
} trp_method;

typedef struct trp_class {
    const char *name;
    const char *about TRP_0;
    size_t self_size TRP_0;    /* of the state, zeroed before init */
    trp_method_fn *init TRP_0; /* NULL: nothing to do. Its result is ignored; if it fails, the actor ends */
    const char *init_args TRP_0;
    void (*fini)(void *self) TRP_0; /* at a graceful end, also after a failed init; not after a crash */
    const trp_method *methods TRP_0;
    uint32_t max_concurrency
        TRP_0; /* 0: 1. More: methods run in parallel, and lock for themselves; MALLOC_ARENA_MAX in their env gives them as many heaps */
} trp_class;

/*
 * A task. What a call says itself (trp_request) comes before the row. The broker reads rows when a worker has loaded the module:
 * tasks that came before that wait for one CPU, whatever their rows say. Retries are those of the row for all of them.
 */
typedef struct trp_function {
    const char *name;
    trp_task_fn *fn;
    const char *args TRP_0;
    const char *about TRP_0;
    double num_cpus TRP_0; /* 0: 1; negative: none */
    double num_gpus TRP_0;
    uint64_t memory_bytes TRP_0; /* 0: unlimited */
    int32_t max_retries TRP_0;   /* how often it is started again after deaths of its worker; 0: 3; -1: always */
    bool no_retries TRP_0;       /* never: the caller gets TRP_EACTORDIED */
} trp_function;

/* For the loader: it compares each field, and says which differs. */
typedef struct trp_stamp {
    uint32_t abi; /* TRP_ABI: another major, or a newer minor, is refused */
    uint16_t pointer_size, value_size, module_size, class_size, method_size, function_size;
} trp_stamp;

/* What a module offers. TRP_MODULE writes it, and fills in the stamp and the name. */
struct trp_module {
    trp_stamp stamp;
    const char *name;
    const trp_class *classes TRP_0;
    const trp_function *tasks TRP_0;
    const char *version TRP_0;
    const char *about TRP_0;
    void (*seed)(int64_t seed) TRP_0; /* once per process, before anything runs */
};

/* Of the headers that a module was built with. */
#define TRP_ABI 0x00010000u
#define TRP_STAMP_                                                                                                     \
    {                                                                                                                  \
        TRP_ABI, sizeof(void *), sizeof(trp_value), sizeof(trp_module), sizeof(trp_class), sizeof(trp_method),         \
            sizeof(trp_function)                                                                                       \
    }

/*
 * The module's description, at file scope: `TRP_MODULE(counter, .classes = counter_classes, .tasks = counter_tasks);`
 * The name is a C identifier, that of the file, and the part before ':' in "counter:Counter". In C++17, where members
 * can't be named: `TRP_MODULE(counter, counter_classes, counter_tasks);`
 */
#define TRP_MODULE(name_, ...)                                                                                         \
    TRP_MODULE_DECLARE(name_);                                                                                         \
    const trp_module troupe_module_##name_ = {TRP_STAMP_, #name_, __VA_ARGS__}

/* Makes it known to a program that it is linked into, in local mode: `.mode = TRP_MODE_LOCAL,
 * .modules = (const trp_module *[]){&troupe_module_counter, NULL}` */
#ifdef __cplusplus
#define TRP_MODULE_DECLARE(name_) extern "C" TRP_API const trp_module troupe_module_##name_
#else
#define TRP_MODULE_DECLARE(name_) extern TRP_API const trp_module troupe_module_##name_
#endif

#ifdef __cplusplus
}
#endif
#endif
