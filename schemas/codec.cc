/*
 * codec.cc - FlatBuffers, built and verified, to and from the plain structs of schemas.h: values, calls and actors; with
 * codec_peers.cc the only C++ in the tree. Without exceptions, RTTI and the C++ library, so that C programs link it. Any thread.
 *
 * It must not know envelopes, references or what values mean.
 */
#include "schemas/codec.hpp"

/* FlatBuffers' default allocator, which is never used, and deleting destructors name these. Weak: a C++ program has its own. */
__attribute__((weak)) void *
operator new[](size_t size)
{
    void *memory = malloc(size);
    TRI_ASSERT(memory != nullptr);
    return memory;
}
__attribute__((weak)) void
operator delete[](void *memory) noexcept
{
    free(memory);
}
__attribute__((weak)) void
operator delete[](void *memory, size_t) noexcept
{
    free(memory);
}
__attribute__((weak)) void
operator delete(void *memory) noexcept
{
    free(memory);
}
__attribute__((weak)) void
operator delete(void *memory, size_t) noexcept
{
    free(memory);
}
extern "C" __attribute__((weak, visibility("hidden"))) void
__cxa_pure_virtual(void)
{
    abort();
}

namespace
{

bool
open_nodes(const fb::Vector<const wire::Node *> *vector, tri_meta_nodes *nodes)
{
    return structs(vector, &nodes->nodes, &nodes->count) && nodes->count > 0 && nodes->count <= TRI_NODES_MAX;
}

bool
open_resources(Texts &text, const fb::Vector<fb::Offset<wire::Resource>> *vector, tri_resource *resources,
               uint32_t *count)
{
    *count = vector == nullptr ? 0 : vector->size();
    if (*count > TRI_SPAWN_LISTS_MAX)
        return false;
    for (uint32_t i = 0; i < *count; i++)
        resources[i] = {text(vector->Get(i)->name()), vector->Get(i)->amount()};
    return text.good;
}

} // namespace

/* ----------------------------------------------------------------------------------------------- values and calls */

void
tri_meta_pack_value(struct tri_meta *meta, const struct tri_meta_nodes *nodes)
{
    Build build(meta);
    build.finish(wire::CreateValue(build.fbb, build.nodes(nodes)), "TVAL");
}

bool
tri_meta_open_value(const uint8_t *data, size_t size, struct tri_meta_nodes *nodes)
{
    auto value = open<wire::Value>(data, size, "TVAL");
    return value != nullptr && open_nodes(value->nodes(), nodes);
}

void
tri_meta_pack_call(struct tri_meta *meta, const char *method, const struct tri_meta_nodes *nodes,
                   const struct tri_needs *needs)
{
    Build build(meta);
    fb::Offset<wire::Needs> wire_needs;
    if (needs != nullptr) {
        auto resources = build.resources(needs->resources, needs->resource_count);
        wire_needs = wire::CreateNeeds(build.fbb, needs->num_cpus, needs->num_gpus, needs->memory_bytes,
                                       needs->max_retries, resources);
    }
    auto name = build.text(method);
    auto vector = build.nodes(nodes);
    build.finish(wire::CreateCall(build.fbb, name, vector, wire_needs), "TCAL");
}

bool
tri_meta_open_call(const uint8_t *data, size_t size, const char **method, struct tri_meta_nodes *nodes)
{
    auto call = open<wire::Call>(data, size, "TCAL");
    if (call == nullptr || !open_nodes(call->nodes(), nodes))
        return false;
    Texts text;
    *method = text(call->method());
    return text.good;
}

namespace
{

/* A call without needs: only so much is verified as shows that there are none; the rest is for who reads it. */
bool
lacks_needs(const uint8_t *data, size_t size)
{
    if (size < 16 || size > TRI_META_MAX || !fb::BufferHasIdentifier(data, "TCAL"))
        return false;
    fb::Verifier verifier(data, size, 16, 4096);
    auto at = verifier.VerifyOffset(0);
    return at != 0 && verifier.VerifyTableStart(data + at) &&
           !reinterpret_cast<const fb::Table *>(data + at)->CheckField(wire::Call::VT_NEEDS);
}

} // namespace

bool
tri_meta_open_needs(const uint8_t *data, size_t size, struct tri_needs *needs, struct tri_spawn_scratch *scratch,
                    bool *present)
{
    *present = false;
    *needs = {0, 0, 0, 0, nullptr, 0};
    if (lacks_needs(data, size))
        return true;
    auto call = open<wire::Call>(data, size, "TCAL");
    if (call == nullptr || call->needs() == nullptr)
        return false;
    auto wire = call->needs();
    *present = true;
    *needs = {wire->num_cpus(), wire->num_gpus(), wire->memory_bytes(), wire->max_retries(), scratch->resources, 0};
    Texts text;
    return open_resources(text, wire->resources(), scratch->resources, &needs->resource_count);
}

void
tri_meta_pack_ids(struct tri_meta *meta, const struct tri_id *ids, uint32_t count)
{
    Build build(meta);
    build.finish(wire::CreateIds(build.fbb, build.structs<wire::Id>(ids, count)), "TIDS");
}

bool
tri_meta_open_ids(const uint8_t *data, size_t size, const struct tri_id **ids, uint32_t *count)
{
    auto wire = open<wire::Ids>(data, size, "TIDS");
    return wire != nullptr && structs(wire->ids(), ids, count);
}

void
tri_meta_pack_runs(struct tri_meta *meta, const struct tri_run *runs, uint32_t count)
{
    Build build(meta);
    build.finish(wire::CreateRuns(build.fbb, build.structs<wire::Run>(runs, count)), "TRUN");
}

bool
tri_meta_open_runs(const uint8_t *data, size_t size, const struct tri_run **runs, uint32_t *count)
{
    auto wire = open<wire::Runs>(data, size, "TRUN");
    return wire != nullptr && structs(wire->runs(), runs, count);
}

/* --------------------------------------------------------------------------------------------------------- actors */

void
tri_meta_pack_spawn(struct tri_meta *meta, const struct tri_spawn *spawn, const struct tri_meta_nodes *nodes)
{
    Build build(meta);
    auto class_name = build.text(spawn->class_name), name = build.text(spawn->name);
    auto name_space = build.text(spawn->namespace_);
    auto resources = build.resources(spawn->resources, spawn->resource_count);
    fb::Offset<wire::EnvEntry> entries[TRI_SPAWN_LISTS_MAX];
    fb::Offset<fb::Vector<fb::Offset<wire::EnvEntry>>> env;
    for (uint32_t i = 0; i < spawn->env_count; i++) {
        auto entry = build.text(spawn->env[i].name), text = build.text(spawn->env[i].text);
        entries[i] = wire::CreateEnvEntry(build.fbb, entry, text);
    }
    if (spawn->env_count > 0)
        env = build.fbb.CreateVector(entries, spawn->env_count);
    auto vector = build.nodes(nodes);
    build.finish(wire::CreateSpawn(build.fbb, class_name, name, name_space, spawn->get_if_exists, spawn->detached,
                                   spawn->num_cpus, spawn->num_gpus, spawn->memory_bytes, spawn->start_timeout_ms,
                                   spawn->max_concurrency, spawn->max_pending_calls, resources, env, vector),
                 "TSPN");
}

bool
tri_meta_open_spawn(const uint8_t *data, size_t size, struct tri_spawn *spawn, struct tri_spawn_scratch *scratch,
                    struct tri_meta_nodes *nodes)
{
    auto wire = open<wire::Spawn>(data, size, "TSPN");
    if (wire == nullptr || !open_nodes(wire->nodes(), nodes))
        return false;
    Texts text;
    memset(spawn, 0, sizeof *spawn);
    spawn->class_name = text(wire->class_name());
    spawn->name = text(wire->name());
    spawn->namespace_ = text(wire->name_space());
    spawn->get_if_exists = wire->get_if_exists();
    spawn->detached = wire->detached();
    spawn->num_cpus = wire->num_cpus();
    spawn->num_gpus = wire->num_gpus();
    spawn->memory_bytes = wire->memory_bytes();
    spawn->start_timeout_ms = wire->start_timeout_ms();
    spawn->max_concurrency = wire->max_concurrency();
    spawn->max_pending_calls = wire->max_pending_calls();
    spawn->resources = scratch->resources;
    spawn->env = scratch->env;
    if (!open_resources(text, wire->resources(), scratch->resources, &spawn->resource_count))
        return false;
    spawn->env_count = wire->env() == nullptr ? 0 : wire->env()->size();
    if (spawn->env_count > TRI_SPAWN_LISTS_MAX)
        return false;
    for (uint32_t i = 0; i < spawn->env_count; i++)
        scratch->env[i] = {text(wire->env()->Get(i)->name()), text(wire->env()->Get(i)->text())};
    return text.good;
}

void
tri_meta_pack_kill(struct tri_meta *meta, int64_t drain_ms, bool allow_restart)
{
    Build build(meta);
    build.finish(wire::CreateKill(build.fbb, drain_ms, allow_restart), "TKIL");
}

bool
tri_meta_open_kill(const uint8_t *data, size_t size, int64_t *drain_ms, bool *allow_restart)
{
    auto wire = open<wire::Kill>(data, size, "TKIL");
    if (wire == nullptr)
        return false;
    *drain_ms = wire->drain_ms();
    *allow_restart = wire->allow_restart();
    return true;
}

void
tri_meta_pack_watch(struct tri_meta *meta, uint32_t event)
{
    Build build(meta);
    build.finish(wire::CreateWatch(build.fbb, event), "TWAT");
}

bool
tri_meta_open_watch(const uint8_t *data, size_t size, uint32_t *event)
{
    auto wire = open<wire::Watch>(data, size, "TWAT");
    if (wire == nullptr)
        return false;
    *event = wire->event();
    return true;
}
