/*
 * spawn.c - actors: trp_spawn, trp_lookup, trp_kill, trp_watch; and trp_query, a request like them. Any thread.
 */
#include <math.h>

#include "actors/checks.h"
#include "actors/submit.h"

/* ---------------------------------------------------------------------------------------------------------- options */

trp_err
tri_check_node(const struct tri_process *process, const char *node, trp_error *error)
{
    if (node == NULL || process->state == TRI_LOGGING_IN || strcmp(node, process->node) == 0)
        return TRP_OK;
    return TRI_FAIL(error, TRP_ENORESOURCE, "there is no node '%s'; there is '%s'", node, process->node);
}

trp_err
tri_check_amounts(const struct tri_process *process, double num_cpus, double num_gpus, trp_error *error)
{
    if (!isfinite(num_cpus) || !isfinite(num_gpus) || num_gpus < 0)
        return TRI_FAIL(error, TRP_EINVAL, "num_%s is no amount", isfinite(num_cpus) ? "gpus" : "cpus");
    if (process->num_cpus > 0 && num_cpus > process->num_cpus)
        return TRI_FAIL(error, TRP_ENORESOURCE, "asks for %g CPUs; node '%s' has %g", num_cpus, process->node,
                        process->num_cpus);
    return TRP_OK;
}

trp_err
tri_resources_of(trp_value map, struct tri_resource *rows, uint32_t *count, trp_error *error)
{
    *count = 0;
    if (map.kind == TRP_NULL)
        return TRP_OK;
    TRP_TRY(trp_check(map, "{sd}", error));
    if (map.size > TRI_SPAWN_LISTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%zu custom resources; at most %d", map.size, TRI_SPAWN_LISTS_MAX);
    for (size_t i = 0; i < map.size; i++) {
        const double amount = trp_as_f64(trp_at(map, i));
        if (!isfinite(amount) || amount < 0)
            return TRI_FAIL(error, TRP_EINVAL, "resource '%s' is no amount", trp_as_str(trp_key_at(map, i)));
        rows[i] = (struct tri_resource){trp_as_str(trp_key_at(map, i)), amount};
    }
    *count = (uint32_t)map.size;
    return TRP_OK;
}

static trp_err
env_of(trp_value map, struct tri_env *rows, uint32_t *count, trp_error *error)
{
    *count = 0;
    if (map.kind == TRP_NULL)
        return TRP_OK;
    TRP_TRY(trp_check(map, "{ss}", error));
    if (map.size > TRI_SPAWN_LISTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%zu variables in env; at most %d", map.size, TRI_SPAWN_LISTS_MAX);
    for (size_t i = 0; i < map.size; i++) {
        const char *name = trp_as_str(trp_key_at(map, i));
        if (name[0] == '\0' || strchr(name, '=') != NULL)
            return TRI_FAIL(error, TRP_EINVAL, "env: '%s' cannot be the name of a variable", name);
        rows[i] = (struct tri_env){name, trp_as_str(trp_at(map, i))};
    }
    *count = (uint32_t)map.size;
    return TRP_OK;
}

/* "name" or "namespace/name" -> the two; `space` has room for TRI_NAME_MAX + 1. */
static trp_err
split_name(const trp_runtime *runtime, const char *full, char *space, const char **name, trp_error *error)
{
    const char *slash;

    TRP_TRY(tri_check_name("name", full, error));
    slash = strchr(full, '/');
    *name = full;
    (void)tri_text_copy(space, TRI_NAME_MAX + 1, runtime->default_namespace);
    if (slash == NULL)
        return TRP_OK;
    (void)memcpy(space, full, (size_t)(slash - full));
    space[slash - full] = '\0';
    *name = slash + 1;
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------- requests */

/* With the lock: sends a request whose body is in process->packed; *ref has one handle. */
static trp_err
request(struct tri_process *process, uint8_t kind, struct tri_id target, const char *method, struct tri_ref **ref,
        trp_error *error)
{
    struct tri_submit submit = {
        .kind = kind, .target = target, .deadline_ns = TRI_NEVER, .body = process->packed.section, .method = method};

    return tri_submit(process, &submit, false, ref, error);
}

/* With the lock: waits for the answer, whose handle is given up. `*actor` (may be NULL): the actor that it is. */
static trp_err
answer(struct tri_process *process, trp_runtime *runtime, struct tri_ref *ref, trp_actor **actor, trp_error *error)
{
    struct tri_handle *handle = &tri_handle_give(process, runtime, ref)->handle;
    trp_err err = tri_ref_wait(process, handle, TRI_NEVER, false, error);
    trp_value value;

    if (err == TRP_OK && ref->state == TRI_REF_FAILED)
        err = tri_ref_failure(ref, error);
    if (err == TRP_OK && actor != NULL) {
        err = tri_handle_open(handle, error);
        if (err == TRP_OK) {
            value = tri_view_value(&ref->held->view, 0);
            if (value.kind == TRP_ACTOR) {
                tri_proc_retain(&value.as.actor->handle.ref);
                *actor = (trp_actor *)(void *)tri_handle_give(process, runtime, &value.as.actor->handle.ref);
            } else {
                err = TRI_FAIL(error, TRP_EPROTO, "the broker answered with something else than an actor");
            }
        }
    }
    tri_handle_drop(process, handle);
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- spawning */

static trp_err
check_options(const trp_actor_options *options, trp_error *error)
{
    if (options->num_cpus < 0)
        return TRI_FAIL(error, TRP_EINVAL, "num_cpus is %g; it has to be 0 or more", options->num_cpus);
    if (options->get_if_exists && options->name == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "get_if_exists needs a name");
    if (options->max_concurrency > TRI_CONCURRENCY_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "max_concurrency is %u; no class has more than %d", options->max_concurrency,
                        (int)TRI_CONCURRENCY_MAX);
    TRP_TRY(tri_check_time("start_timeout_ms", options->start_timeout_ms, error));
    return tri_check_reserved("options", options->reserved, 8, error);
}

/* A spawn while it is put together. */
struct spawning {
    struct tri_spawn spawn;
    struct tri_spawn_scratch scratch;
    char space[TRI_NAME_MAX + 1];
};

static trp_err
describe(struct tri_process *process, const trp_runtime *runtime, const char *class_name,
         const trp_actor_options *options, bool is_nodes, struct spawning *it, trp_error *error)
{
    struct tri_spawn *spawn = &it->spawn;

    *spawn = (struct tri_spawn){
        .class_name = class_name,
        .name = "",
        .namespace_ = it->space,
        .get_if_exists = options->get_if_exists,
        .detached = options->detached,
        .num_cpus = is_nodes ? -1 : options->num_cpus, /* it waits for no CPU either */
        .num_gpus = options->num_gpus,
        .memory_bytes = options->memory_bytes,
        .start_timeout_ms = options->start_timeout_ms != 0 ? options->start_timeout_ms : 60000,
        .max_concurrency = options->max_concurrency,
        .max_pending_calls = options->max_pending_calls,
        .resources = it->scratch.resources,
        .env = it->scratch.env,
    };
    (void)tri_text_copy(it->space, sizeof it->space, runtime->default_namespace);
    TRP_TRY(check_options(options, error));
    if (options->name != NULL)
        TRP_TRY(split_name(runtime, options->name, it->space, &spawn->name, error));
    if (options->name != NULL && !is_nodes && strcmp(it->space, TRI_NODE_NAMESPACE) == 0)
        return TRI_FAIL(error, TRP_EINVAL,
                        "name is '%s' in the namespace '" TRI_NODE_NAMESPACE
                        "', which is the node's own; take another namespace",
                        spawn->name);
    TRP_TRY(tri_check_node(process, options->node, error));
    TRP_TRY(tri_check_amounts(process, options->num_cpus, options->num_gpus, error));
    TRP_TRY(tri_resources_of(options->resources, it->scratch.resources, &spawn->resource_count, error));
    return env_of(options->env, it->scratch.env, &spawn->env_count, error);
}

/* With the lock. Waits for the answer where there can be one that is no error of calls: a name, or resources. */
static trp_err
spawn_one(struct tri_process *process, trp_runtime *runtime, struct spawning *it, trp_value args, trp_actor **actor,
          trp_error *error)
{
    const struct tri_spawn *spawn = &it->spawn;
    const bool asks = spawn->name[0] != '\0' || spawn->num_cpus > 0 || spawn->num_gpus > 0 || spawn->memory_bytes > 0 ||
                      spawn->resource_count > 0;
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER, .method = "init"};
    struct tri_ref *made = NULL, *ref = NULL;
    struct tri_handle *own;
    trp_err err;

    TRP_TRY(tri_spawn_pack(&process->packed, spawn, args, &tri_process_handles, error));
    TRP_TRY(tri_proc_actor_new(process->proc, &made, error));
    own = &tri_handle_give(process, runtime, made)->handle;
    submit.target = made->entry.id;
    submit.body = process->packed.section;
    err = tri_submit(process, &submit, false, asks ? &ref : NULL, error);
    if (err == TRP_OK && asks)
        err = answer(process, runtime, ref, actor, error);
    if (err == TRP_OK && !asks)
        *actor = (trp_actor *)(void *)own;
    else
        tri_handle_drop(process, own); /* the answer gave one; with get_if_exists maybe on another actor */
    return err;
}

/* For what is said of its calls: its name without the namespace, else its class. */
static void
keep_name(trp_actor *actor, const char *name, const char *class_name)
{
    struct tri_handle_more *more = tri_handle_more(&actor->handle);
    const char *slash = name != NULL ? strchr(name, '/') : NULL;

    if (more != NULL)
        (void)tri_text_copy(more->name, sizeof more->name,
                            slash != NULL  ? slash + 1
                            : name != NULL ? name
                                           : class_name);
}

static trp_err
spawn(trp_runtime *runtime, const char *class_name, trp_value args, const trp_actor_options *options, bool is_nodes,
      trp_actor **actor, trp_error *error)
{
    static const trp_actor_options defaults;
    struct tri_process *process = NULL;
    struct spawning it;
    trp_err err;

    if (actor == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "actor is NULL");
    TRP_TRY(tri_check_path("class_name", class_name, "module:Class", error));
    if (args.kind != TRP_ARGS && args.kind != TRP_NULL)
        return TRI_FAIL(error, TRP_EINVAL, "args is neither TRP_ARGS(...) nor TRP_NOARGS");
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = describe(process, runtime, class_name, options != NULL ? options : &defaults, is_nodes, &it, error);
    if (err == TRP_OK)
        err = spawn_one(process, runtime, &it, args, actor, error);
    if (err == TRP_OK)
        keep_name(*actor, options != NULL ? options->name : NULL, class_name);
    tri_process_unlock(process);
    return err;
}

trp_err
trp_spawn(trp_runtime *runtime, const char *class_name, trp_value args, const trp_actor_options *options,
          trp_actor **actor, trp_error *error)
{
    return spawn(runtime, class_name, args, options, false, actor, error);
}

trp_err
tri_spawn_of_node(trp_runtime *runtime, const char *class_name, const char *name, trp_actor **actor, trp_error *error)
{
    const trp_actor_options options = {.name = name, .get_if_exists = true, .detached = true};

    return spawn(runtime, class_name, TRP_NOARGS, &options, true, actor, error);
}

/* ------------------------------------------------------------------------------------------------------------ others */

trp_err
trp_lookup(trp_runtime *runtime, const char *name, trp_actor **actor, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_ref *ref = NULL;
    char space[TRI_NAME_MAX + 1];
    const char *own = NULL;
    trp_err err;

    if (actor == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "actor is NULL");
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = split_name(runtime, name, space, &own, error);
    if (err == TRP_OK)
        err = tri_name_pack(&process->packed, own, space, error);
    if (err == TRP_OK)
        err = request(process, TRI_LOOKUP, (struct tri_id){0, 0}, "lookup", &ref, error);
    if (err == TRP_OK)
        err = answer(process, runtime, ref, actor, error);
    if (err == TRP_OK)
        keep_name(*actor, name, "");
    const bool sleeps = err == TRP_ENOENT && tri_holder_sleeps(process, name);
    tri_process_unlock(process);
    return sleeps ? tri_spawn_of_node(runtime, TRI_HOLDER_CLASS, name, actor, error) : err;
}

trp_err
trp_kill(trp_actor *actor, const trp_kill_options *options, trp_error *error)
{
    static const trp_kill_options defaults;
    struct tri_process *process = NULL;
    struct tri_ref *ref = NULL;
    trp_err err;

    if (options == NULL)
        options = &defaults;
    TRP_TRY(tri_check_time("drain_ms", options->drain_ms, error));
    TRP_TRY(tri_check_reserved("options", options->reserved, 4, error));
    TRP_TRY(tri_handle_enter(actor != NULL ? &actor->handle : NULL, "actor", &process, error));
    err = tri_kill_pack(&process->packed, options->drain_ms, options->allow_restart, error);
    if (err == TRP_OK)
        err = request(process, TRI_KILL, actor->handle.ref.entry.id, "kill", &ref, error);
    if (err == TRP_OK)
        err = answer(process, actor->handle.runtime, ref, NULL, error);
    tri_process_unlock(process);
    return err;
}

trp_err
trp_watch(trp_actor *actor, trp_watch_event event, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_ref *made = NULL;
    trp_err err;

    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    if (event != TRP_WATCH_READY && event != TRP_WATCH_DEATH)
        return TRI_FAIL(error, TRP_EINVAL, "event is %d, there is no such event", (int)event);
    TRP_TRY(tri_handle_enter(actor != NULL ? &actor->handle : NULL, "actor", &process, error));
    err = tri_watch_pack(&process->packed, (uint32_t)event, error);
    if (err == TRP_OK)
        err = request(process, TRI_WATCH, actor->handle.ref.entry.id, "watch", &made, error);
    if (err == TRP_OK)
        *ref = tri_handle_give(process, actor->handle.runtime, made);
    tri_process_unlock(process);
    return err;
}

trp_err
trp_query(trp_runtime *runtime, const char *what, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = NULL;
    struct tri_ref *made = NULL;
    trp_err err;

    if (ref == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "ref is NULL");
    TRP_TRY(tri_check_query(what, error));
    TRP_TRY(tri_runtime_enter(runtime, &process, error));
    err = tri_name_pack(&process->packed, what, runtime->default_namespace, error);
    if (err == TRP_OK)
        err = request(process, TRI_QUERY, (struct tri_id){0, 0}, "query", &made, error);
    if (err == TRP_OK)
        *ref = tri_handle_give(process, runtime, made);
    tri_process_unlock(process);
    return err;
}
