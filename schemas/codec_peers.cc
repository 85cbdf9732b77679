/*
 * codec_peers.cc - FlatBuffers, built and verified, to and from the plain structs of schemas.h: errors and deaths, what peers say
 * of themselves when they log in and come back, names and printed lines. As codec.cc. Any thread.
 */
#include "schemas/codec.hpp"

namespace
{

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
