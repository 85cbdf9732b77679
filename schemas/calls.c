/*
 * calls.c - what carries arguments: calls, tasks with their needs, spawns. Pure; any thread.
 * It must not know how FlatBuffers work (codec.cc) nor how values lie (value_pack.c, value_view.c).
 */
#include "schemas/packed.h"

#include <math.h>

enum { PATH_SIZE = 2 * TRI_NAME_MAX + 1 }; /* "module:Class" */

/* A name that a user gave: text without control characters, not longer than `max`, and not empty. */
static trp_err
check_name(const char *what, const char *text, size_t max, trp_error *error)
{
    if (text == NULL || text[0] == '\0')
        return TRI_FAIL(error, TRP_EINVAL, "the %s is empty", what);
    if (tri_text_length(text) > max)
        return TRI_FAIL(error, TRP_EINVAL, "the %s '%.32s...' is longer than %zu bytes", what, text, max);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return TRI_FAIL(error, TRP_EINVAL, "the %s '%.200s' has a control character at byte %zu", what, text,
                            (size_t)(at - text));
    return tri_text_check(what, text, error);
}

static trp_err
finish_args(struct tri_packed *packed, const struct tri_meta *meta, const struct tri_flat *flat, trp_error *error)
{
    uint8_t *block;
    TRP_TRY(tri_packed_finish(packed, meta, flat->block_size, flat->ref_count, NULL, &block, error));
    tri_flat_write(packed, flat, block);
    tri_packed_done(packed);
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------- resource lists */

static trp_err
check_resources(const struct tri_resource *resources, uint32_t count, size_t *bound, trp_error *error)
{
    if (count > TRI_SPAWN_LISTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%u custom resources; the limit is %d", count, TRI_SPAWN_LISTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        TRP_TRY(check_name("name of a resource", resources[i].name, TRI_NAME_MAX, error));
        if (!isfinite(resources[i].amount) || resources[i].amount < 0)
            return TRI_FAIL(error, TRP_EINVAL, "resource '%.64s' of amount %g", resources[i].name, resources[i].amount);
        *bound += tri_text_length(resources[i].name) + 64;
    }
    return TRP_OK;
}

static trp_err
check_amounts(double num_cpus, double num_gpus, trp_error *error)
{
    if (!isfinite(num_cpus) || !isfinite(num_gpus))
        return TRI_FAIL(error, TRP_EINVAL, "num_cpus %g, num_gpus %g", num_cpus, num_gpus);
    return TRP_OK;
}

static bool
are_resources_sane(const struct tri_resource *resources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(resources[i].amount) || resources[i].amount < 0 ||
            tri_text_length(resources[i].name) > TRI_NAME_MAX)
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- calls */

static trp_err
pack_call(struct tri_packed *packed, const char *method, trp_value args, const struct tri_needs *needs,
          const struct tri_handles *handles, trp_error *error)
{
    struct tri_flat flat;
    struct tri_meta meta;
    size_t bound = 256;
    if (needs == NULL && tri_call_pack_plain(packed, method, args))
        return TRP_OK; /* the name was checked the last time */
    if (needs != NULL) {
        TRP_TRY(check_amounts(needs->num_cpus, needs->num_gpus, error));
        TRP_TRY(check_resources(needs->resources, needs->resource_count, &bound, error));
    }
    TRP_TRY(tri_flat_args(packed, args, handles, &flat, error));
    if (needs == NULL && method != NULL && tri_packed_again(packed, method, &flat.nodes, &meta))
        return finish_args(packed, &meta, &flat, error); /* the name was checked the last time */
    TRP_TRY(check_name("name of the method or function", method, PATH_SIZE, error));
    bound += tri_text_length(method) + flat.nodes.count * sizeof(struct tri_wire_node);
    TRP_TRY(tri_packed_begin(packed, bound, &meta, error));
    tri_meta_pack_call(&meta, method, &flat.nodes, needs);
    if (needs == NULL)
        tri_packed_shape(packed, true, &meta);
    return finish_args(packed, &meta, &flat, error);
}

trp_err
tri_call_pack(struct tri_packed *packed, const char *method, trp_value args, const struct tri_handles *handles,
              trp_error *error)
{
    return pack_call(packed, method, args, NULL, handles, error);
}

trp_err
tri_task_pack(struct tri_packed *packed, const char *function, trp_value args, const struct tri_needs *needs,
              const struct tri_handles *handles, trp_error *error)
{
    return pack_call(packed, function, args, needs, handles, error);
}

trp_err
tri_call_unpack(const struct tri_section *section, struct tri_call *call, trp_error *error)
{
    const uint8_t *data;
    struct tri_meta_nodes nodes;
    TRP_TRY(tri_view_hold(&call->args, section, &data, error));
    if (!tri_meta_open_call(data, section->meta_size, &call->method, &nodes) || call->method[0] == '\0' ||
        tri_text_length(call->method) > PATH_SIZE) {
        tri_view_close(&call->args);
        return TRI_FAIL(error, TRP_EPROTO, "a call that does not verify (%u bytes)", section->meta_size);
    }
    return tri_view_check(&call->args, section, data, &nodes, true, error);
}

const char *
tri_call_method(const struct tri_section *section)
{
    const char *method;
    struct tri_meta_nodes nodes;
    if (((uintptr_t)section->data & 7) != 0 || section->meta_size > section->size ||
        !tri_meta_open_call(section->data, section->meta_size, &method, &nodes))
        return "";
    return tri_text_length(method) <= PATH_SIZE ? method : "";
}

trp_err
tri_task_needs(const struct tri_section *section, struct tri_needs *needs, struct tri_spawn_scratch *scratch,
               bool *present, trp_error *error)
{
    if (((uintptr_t)section->data & 7) != 0 || section->meta_size > section->size ||
        !tri_meta_open_needs(section->data, section->meta_size, needs, scratch, present) ||
        !isfinite(needs->num_cpus) || !isfinite(needs->num_gpus) || needs->num_gpus < 0 ||
        !are_resources_sane(needs->resources, needs->resource_count))
        return TRI_FAIL(error, TRP_EPROTO, "a task whose needs do not verify (%u bytes)", section->meta_size);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------ spawns */

static trp_err
check_spawn(const struct tri_spawn *spawn, size_t *bound, trp_error *error)
{
    TRP_TRY(check_name("name of the class", spawn->class_name, PATH_SIZE, error));
    TRP_TRY(check_name("namespace", spawn->namespace_, TRI_NAME_MAX, error));
    if (tri_text_length(spawn->name) > TRI_NAME_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "the name '%.32s...' is longer than %d bytes", spawn->name, TRI_NAME_MAX);
    TRP_TRY(tri_text_check("name", spawn->name, error));
    TRP_TRY(check_amounts(spawn->num_cpus, spawn->num_gpus, error));
    TRP_TRY(check_resources(spawn->resources, spawn->resource_count, bound, error));
    if (spawn->env_count > TRI_SPAWN_LISTS_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%u environment variables; the limit is %d", spawn->env_count,
                        TRI_SPAWN_LISTS_MAX);
    for (uint32_t i = 0; i < spawn->env_count; i++) {
        TRP_TRY(check_name("name of an environment variable", spawn->env[i].name, TRI_NAME_MAX, error));
        if (tri_text_length(spawn->env[i].text) == TRI_TEXT_MAX)
            return TRI_FAIL(error, TRP_ELIMIT, "environment variable '%.64s' is longer than %d bytes",
                            spawn->env[i].name, TRI_TEXT_MAX - 1);
        TRP_TRY(tri_text_check("text of an environment variable", spawn->env[i].text, error));
        *bound += tri_text_length(spawn->env[i].name) + tri_text_length(spawn->env[i].text) + 64;
    }
    *bound += tri_text_length(spawn->class_name) + tri_text_length(spawn->name) + tri_text_length(spawn->namespace_);
    return TRP_OK;
}

trp_err
tri_spawn_pack(struct tri_packed *packed, const struct tri_spawn *spawn, trp_value args,
               const struct tri_handles *handles, trp_error *error)
{
    struct tri_flat flat;
    struct tri_meta meta;
    size_t bound = 512;
    TRP_TRY(check_spawn(spawn, &bound, error));
    TRP_TRY(tri_flat_args(packed, args, handles, &flat, error));
    TRP_TRY(tri_packed_begin(packed, bound + flat.nodes.count * sizeof(struct tri_wire_node), &meta, error));
    tri_meta_pack_spawn(&meta, spawn, &flat.nodes);
    return finish_args(packed, &meta, &flat, error);
}

static bool
is_spawn_sane(const struct tri_spawn *spawn)
{
    for (uint32_t i = 0; i < spawn->env_count; i++)
        if (spawn->env[i].name[0] == '\0' || tri_text_length(spawn->env[i].name) > TRI_NAME_MAX ||
            strchr(spawn->env[i].name, '=') != NULL)
            return false;
    return spawn->class_name[0] != '\0' && tri_text_length(spawn->class_name) <= PATH_SIZE &&
           tri_text_length(spawn->name) <= TRI_NAME_MAX && spawn->namespace_[0] != '\0' &&
           tri_text_length(spawn->namespace_) <= TRI_NAME_MAX && isfinite(spawn->num_cpus) &&
           isfinite(spawn->num_gpus) && spawn->num_gpus >= 0 &&
           are_resources_sane(spawn->resources, spawn->resource_count);
}

trp_err
tri_spawn_unpack(const struct tri_section *section, struct tri_spawn *spawn, struct tri_spawn_scratch *scratch,
                 trp_error *error)
{
    const uint8_t *data;
    struct tri_meta_nodes nodes;
    struct tri_view view;
    TRP_TRY(tri_view_hold(&view, section, &data, error));
    if (!tri_meta_open_spawn(data, section->meta_size, spawn, scratch, &nodes) || !is_spawn_sane(spawn)) {
        tri_view_close(&view);
        return TRI_FAIL(error, TRP_EPROTO, "a spawn that does not verify (%u bytes)", section->meta_size);
    }
    spawn->args = view;
    return tri_view_check(&spawn->args, section, data, &nodes, true, error);
}
