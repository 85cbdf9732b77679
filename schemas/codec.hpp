/*
 * codec.hpp - what the C++ files of schemas/ share: a FlatBuffer that is built in reserved memory, and one that is verified and
 * opened. Any thread. It allocates nothing: the C side reserves.
 */
#ifndef TRI_CODEC_HPP
#define TRI_CODEC_HPP

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

} // namespace

#endif
