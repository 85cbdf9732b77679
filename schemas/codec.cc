/*
 * codec.cc - the only C++ in the tree: builds and verifies FlatBuffers, and translates between them and the plain structs
 * of schemas.h. Without exceptions, RTTI and the C++ library, so that C programs link it. Any thread.
 *
 * It must not know envelopes, references or what values mean, and it allocates nothing: the C side reserves.
 */
#include <troupe/base.h>

/* The structs that come with these headers have C's atomics in them, which C++17 cannot read; nothing here looks at them. */
#define _STDATOMIC_H
#define __CLANG_STDATOMIC_H
#define _Atomic
#define _Noreturn [[noreturn]]
extern "C" {
#include "schemas/codec.h"
}

#include <stdlib.h>

#include "actors_generated.h"
#include "calls_generated.h"
#include "control_generated.h"
#include "errors_generated.h"
#include "login_generated.h"
#include "store_generated.h"
#include "value_generated.h"

namespace fb = flatbuffers;
namespace wire = troupe::wire;

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

static_assert(sizeof(tri_wire_node) == sizeof(wire::Node), "nodes are read in place");
static_assert(sizeof(tri_id) == sizeof(wire::Id), "ids are read in place");
static_assert(sizeof(tri_run) == sizeof(wire::Run), "runs are read in place");
static_assert(sizeof(tri_snap_hold) == sizeof(wire::SnapHold), "holds are read in place");
static_assert(sizeof(tri_snap_call) == sizeof(wire::SnapCall), "calls are read in place");
static_assert(sizeof(tri_snap_actor) == sizeof(wire::SnapActor), "actors are read in place");

namespace
{

/* ------------------------------------------------------------------------------------------------------ building */

/* Hands out the reserved memory, once. That it is too small is a bug of whoever reserved it. */
class Reserved final : public fb::Allocator
{
  public:
    explicit Reserved(tri_meta *meta) : meta_(meta)
    {
    }
    uint8_t *allocate(size_t size) override
    {
        TRI_ASSERT(size <= meta_->capacity);
        return meta_->memory;
    }
    void deallocate(uint8_t *, size_t) override
    {
    }
    uint8_t *reallocate_downward(uint8_t *, size_t, size_t, size_t, size_t) override
    {
        tri_assert_failed(__FILE__, __LINE__, "the reserved memory is large enough");
    }

  private:
    tri_meta *meta_;
};

struct Build {
    explicit Build(tri_meta *meta) : meta_(meta), reserved_(meta), fbb(meta->capacity & ~size_t{7}, &reserved_)
    {
    }
    template <class T> void finish(fb::Offset<T> root, const char *identifier)
    {
        fbb.Finish(root, identifier);
        meta_->data = fbb.GetBufferPointer();
        meta_->size = fbb.GetSize();
    }
    fb::Offset<fb::String> text(const char *text)
    {
        return text == nullptr ? fbb.CreateString("", 0) : bytes(text, strnlen(text, TRI_TEXT_MAX));
    }
    template <size_t N> fb::Offset<fb::String> field(const char (&text)[N])
    {
        return bytes(text, strnlen(text, N));
    }
    template <class W, class T> fb::Offset<fb::Vector<const W *>> structs(const T *items, size_t count)
    {
        static_assert(sizeof(W) == sizeof(T), "same layout");
        return fbb.CreateVectorOfStructs(reinterpret_cast<const W *>(items), count);
    }
    fb::Offset<fb::Vector<const wire::Node *>> nodes(const tri_meta_nodes *nodes)
    {
        return structs<wire::Node>(nodes->nodes, nodes->count);
    }
    fb::Offset<fb::Vector<fb::Offset<wire::Resource>>> resources(const tri_resource *resources, uint32_t count)
    {
        fb::Offset<wire::Resource> made[TRI_SPAWN_LISTS_MAX];
        if (count == 0)
            return 0;
        for (uint32_t i = 0; i < count; i++) {
            auto name = text(resources[i].name);
            made[i] = wire::CreateResource(fbb, name, resources[i].amount);
        }
        return fbb.CreateVector(made, count);
    }

  private:
    /* Names were checked before; the words of programs, which nobody has checked, travel as text all the same. */
    fb::Offset<fb::String> bytes(const char *text, size_t size)
    {
        auto made = fbb.CreateString(text, size);
        tri_text_clean(const_cast<char *>(fb::GetTemporaryPointer(fbb, made)->c_str()), size);
        return made;
    }
    tri_meta *meta_;
    Reserved reserved_;

  public:
    fb::FlatBufferBuilder fbb;
};

/* ------------------------------------------------------------------------------------------------------- opening */

/* The verified root, or null. */
template <class T>
const T *
open(const uint8_t *data, size_t size, const char *identifier)
{
    if (size < 16 || size > TRI_META_MAX)
        return nullptr;
    fb::Verifier verifier(data, size, 16, 4096);
    return verifier.VerifyBuffer<T>(identifier) ? fb::GetRoot<T>(data) : nullptr;
}

/* A vector of structs where it lies; the verifier does not look at the alignment of 8-byte members. */
template <class W, class T>
bool
structs(const fb::Vector<const W *> *vector, const T **items, uint32_t *count)
{
    if (vector == nullptr || vector->size() == 0) {
        *items = nullptr;
        *count = 0;
        return true;
    }
    *items = reinterpret_cast<const T *>(vector->Data());
    *count = vector->size();
    return (reinterpret_cast<uintptr_t>(*items) & 7) == 0;
}

bool
open_nodes(const fb::Vector<const wire::Node *> *vector, tri_meta_nodes *nodes)
{
    return structs(vector, &nodes->nodes, &nodes->count) && nodes->count > 0 && nodes->count <= TRI_NODES_MAX;
}

/* Reads the texts of a body, which is good as long as all of them are text. */
struct Texts {
    bool good = true;
    const char *operator()(const fb::String *text)
    {
        good = good && tri_text_valid(text->c_str(), text->size()) == text->size();
        return text->c_str();
    }
    /* Into a field of trp_error, cut if it is too long for it. */
    template <size_t N> void put(char (&field)[N], const fb::String *text)
    {
        tri_text_copy(field, N, (*this)(text));
    }
};

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

const char *
optional(Texts &text, const fb::String *wire)
{
    return wire == nullptr ? "" : text(wire);
}

void
open_death(Texts &text, const wire::Death *wire, tri_death *death)
{
    memset(death, 0, sizeof *death);
    if (wire == nullptr) {
        death->module = death->actor = death->method = death->backtrace = death->last_output = death->killed_by = "";
        death->id = death->class_name = death->node = death->message = "";
        return;
    }
    death->present = true;
    death->pid = wire->pid();
    death->exit_code = wire->exit_code();
    death->signal = wire->signal();
    death->memory_limit = wire->memory_limit();
    death->module = text(wire->module_name());
    death->actor = text(wire->actor());
    death->method = text(wire->method());
    death->sequence = wire->sequence();
    death->backtrace = text(wire->backtrace());
    death->last_output = text(wire->last_output());
    death->killed_by = text(wire->killed_by());
    death->started = wire->started();
    death->finished = wire->finished();
    death->id = optional(text, wire->id());
    death->class_name = optional(text, wire->class_name());
    death->node = optional(text, wire->node());
    death->message = optional(text, wire->message());
}

void
open_failure(Texts &text, const wire::Failure *wire, tri_failure *failure)
{
    memset(failure, 0, sizeof *failure);
    failure->error.code = static_cast<trp_err>(wire->code());
    failure->error.ran = static_cast<trp_ran>(wire->ran());
    failure->error.cause = wire->cause();
    failure->error.rank = wire->rank();
    text.put(failure->error.actor, wire->actor());
    text.put(failure->error.method, wire->method());
    text.put(failure->error.node, wire->node());
    text.put(failure->error.message, wire->message());
    open_death(text, wire->death(), &failure->death);
}

fb::Offset<wire::Death>
pack_death(Build &build, const tri_death *death)
{
    if (!death->present)
        return 0;
    auto module = build.text(death->module), actor = build.text(death->actor), method = build.text(death->method);
    auto backtrace = build.text(death->backtrace), output = build.text(death->last_output);
    auto killed_by = build.text(death->killed_by), id = build.text(death->id);
    auto class_name = build.text(death->class_name), node = build.text(death->node);
    auto message = build.text(death->message);
    return wire::CreateDeath(build.fbb, death->pid, death->exit_code, death->signal, death->memory_limit, module, actor,
                             method, death->sequence, backtrace, output, killed_by, death->started, death->finished, id,
                             class_name, node, message);
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

/* --------------------------------------------------------------------------------------------------------- errors */

void
tri_meta_pack_error(struct tri_meta *meta, const struct tri_failure *const *chain, uint32_t count)
{
    Build build(meta);
    fb::Offset<wire::Failure> made[TRI_CAUSES_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const trp_error *error = &chain[i]->error;
        auto actor = build.field(error->actor), method = build.field(error->method), node = build.field(error->node);
        auto message = build.field(error->message);
        auto death = pack_death(build, &chain[i]->death);
        made[i] = wire::CreateFailure(build.fbb, error->code, error->ran, error->cause, error->rank, actor, method,
                                      node, message, death);
    }
    build.finish(wire::CreateError(build.fbb, build.fbb.CreateVector(made, count)), "TERR");
}

bool
tri_meta_open_error(const uint8_t *data, size_t size, struct tri_failure chain[TRI_CAUSES_MAX], uint32_t *count)
{
    auto wire = open<wire::Error>(data, size, "TERR");
    if (wire == nullptr || wire->failures()->size() == 0 || wire->failures()->size() > TRI_CAUSES_MAX)
        return false;
    Texts text;
    *count = wire->failures()->size();
    for (uint32_t i = 0; i < *count; i++) {
        auto failure = wire->failures()->Get(i);
        if (failure->code() <= 0 || failure->code() >= TRP_ERR_LAST_ || failure->ran() < 0 || failure->ran() > TRP_RAN)
            return false;
        open_failure(text, failure, &chain[i]);
        if (i > 0)
            chain[i - 1].cause = &chain[i];
    }
    return text.good;
}

/* ---------------------------------------------------------------------------------------------------------- login */

void
tri_meta_pack_login(struct tri_meta *meta, const struct tri_login *login)
{
    Build build(meta);
    auto program = build.text(login->program);
    build.finish(wire::CreateLogin(build.fbb, login->version_min, login->version_max, static_cast<uint8_t>(login->role),
                                   login->pid, login->cookie, login->space, login->received, login->broker,
                                   login->host_token, program),
                 "TLGN");
}

bool
tri_meta_open_login(const uint8_t *data, size_t size, struct tri_login *login)
{
    auto wire = open<wire::Login>(data, size, "TLGN");
    if (wire == nullptr || (wire->role() != TRI_DRIVER && wire->role() != TRI_HOST))
        return false;
    login->version_min = wire->version_min();
    login->version_max = wire->version_max();
    login->role = static_cast<enum tri_role>(wire->role());
    login->pid = wire->pid();
    login->cookie = wire->cookie();
    login->space = wire->space();
    login->received = wire->received();
    login->broker = wire->broker();
    login->host_token = wire->host_token();
    Texts text;
    login->program = text(wire->program());
    return text.good;
}

void
tri_meta_pack_welcome(struct tri_meta *meta, const struct tri_welcome *welcome)
{
    Build build(meta);
    auto node = build.text(welcome->node);
    build.finish(wire::CreateWelcome(build.fbb, welcome->version, welcome->space, welcome->broker, welcome->received,
                                     welcome->snapshot, node, welcome->credit_calls, welcome->credit_bytes,
                                     welcome->num_cpus, welcome->arena_granules, welcome->slots, welcome->pins),
                 "TWEL");
}

bool
tri_meta_open_welcome(const uint8_t *data, size_t size, struct tri_welcome *welcome)
{
    auto wire = open<wire::Welcome>(data, size, "TWEL");
    if (wire == nullptr)
        return false;
    welcome->version = wire->version();
    welcome->space = wire->space();
    welcome->broker = wire->broker();
    welcome->received = wire->received();
    welcome->snapshot = wire->snapshot();
    welcome->credit_calls = wire->credit_calls();
    welcome->credit_bytes = wire->credit_bytes();
    welcome->num_cpus = wire->num_cpus();
    welcome->arena_granules = wire->arena_granules();
    welcome->slots = wire->slots();
    welcome->pins = wire->pins();
    Texts text;
    welcome->node = text(wire->node());
    return text.good;
}

void
tri_meta_pack_snapshot(struct tri_meta *meta, const struct tri_snapshot *snapshot)
{
    Build build(meta);
    auto holds = build.structs<wire::SnapHold>(snapshot->holds, snapshot->hold_count);
    auto calls = build.structs<wire::SnapCall>(snapshot->calls, snapshot->call_count);
    auto actors = build.structs<wire::SnapActor>(snapshot->actors, snapshot->actor_count);
    build.finish(wire::CreateSnapshot(build.fbb, holds, calls, actors), "TSNP");
}

bool
tri_meta_open_snapshot(const uint8_t *data, size_t size, struct tri_snapshot *snapshot)
{
    auto wire = open<wire::Snapshot>(data, size, "TSNP");
    return wire != nullptr && structs(wire->holds(), &snapshot->holds, &snapshot->hold_count) &&
           structs(wire->calls(), &snapshot->calls, &snapshot->call_count) &&
           structs(wire->actors(), &snapshot->actors, &snapshot->actor_count);
}

/* ---------------------------------------------------------------------------------------------------------- store */

void
tri_meta_pack_lease(struct tri_meta *meta, const struct tri_lease *lease)
{
    Build build(meta);
    auto slots = build.fbb.CreateVector(lease->slots, lease->slot_count);
    build.finish(wire::CreateLease(build.fbb, lease->start, lease->count, slots), "TLEA");
}

bool
tri_meta_open_lease(const uint8_t *data, size_t size, struct tri_lease *lease)
{
    auto wire = open<wire::Lease>(data, size, "TLEA");
    if (wire == nullptr)
        return false;
    *lease = {wire->start(), wire->count(), nullptr, 0};
    if (wire->slots() != nullptr && wire->slots()->size() > 0) {
        lease->slots = wire->slots()->data();
        lease->slot_count = wire->slots()->size();
    }
    return (reinterpret_cast<uintptr_t>(lease->slots) & 3) == 0;
}

/* -------------------------------------------------------------------------------------------------------- control */

void
tri_meta_pack_name(struct tri_meta *meta, const char *text, const char *namespace_)
{
    Build build(meta);
    auto wire_text = build.text(text), name_space = build.text(namespace_);
    build.finish(wire::CreateName(build.fbb, wire_text, name_space), "TNAM");
}

bool
tri_meta_open_name(const uint8_t *data, size_t size, const char **text, const char **namespace_)
{
    auto wire = open<wire::Name>(data, size, "TNAM");
    if (wire == nullptr)
        return false;
    Texts texts;
    *text = texts(wire->text());
    *namespace_ = texts(wire->name_space());
    return texts.good;
}

void
tri_meta_pack_log(struct tri_meta *meta, const struct tri_log_line *line)
{
    Build build(meta);
    auto actor = build.text(line->actor), text = build.text(line->text);
    build.finish(wire::CreateLog(build.fbb, actor, line->pid, line->is_stderr, text), "TLIN");
}

bool
tri_meta_open_log(const uint8_t *data, size_t size, struct tri_log_line *line)
{
    auto wire = open<wire::Log>(data, size, "TLIN");
    if (wire == nullptr)
        return false;
    Texts text;
    line->actor = text(wire->actor());
    line->pid = wire->pid();
    line->is_stderr = wire->is_stderr();
    line->text = text(wire->text());
    return text.good;
}
