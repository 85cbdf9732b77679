/*
 * packed.h - private to schemas/: the memory that packing reuses, and how a section is put together in it.
 */
#ifndef TRI_PACKED_H
#define TRI_PACKED_H

#include "schemas/codec.h"

/* The FlatBuffer built last, where it was a value or a plain call: another of the same method and as many nodes differs in
 * the nodes only, so they are written into it instead of building it anew. It lies in the scratch's meta. */
struct tri_shape {
    struct tri_meta meta;
    const char *method; /* NULL: a value */
    struct tri_wire_node *nodes;
    uint32_t count; /* 0: there is none */
};

/* What tri_packed.scratch points to. */
struct tri_scratch {
    struct tri_wire_node *nodes; /* of the value being packed, in level order */
    size_t node_capacity;
    trp_value *values; /* by node: what it is made from */
    size_t value_capacity;
    uint32_t *keys; /* a large map's keys, to be sorted */
    size_t key_capacity;
    uint8_t *meta; /* where FlatBuffers are built */
    size_t meta_capacity;
    size_t buf_capacity; /* bytes that packed->buf has, of which its size may show fewer */
    struct tri_shape shape;
};

/* Texts of bodies are NUL-terminated, and at most so long; NULL is "". */
static inline size_t
tri_text_length(const char *text)
{
    return text != NULL ? strnlen(text, TRI_TEXT_MAX) : 0;
}
/* A name that a user gave is UTF-8: TRP_EINVAL, with the byte where it is not. */
trp_err tri_text_check(const char *what, const char *text, trp_error *error);

/* The scratch, made when first needed. NULL: no memory. */
struct tri_scratch *tri_packed_scratch(struct tri_packed *packed);
/* Starts a packing: makes sure that a FlatBuffer of up to `bound` bytes can be built in *meta. TRP_ENOMEM. */
trp_err tri_packed_begin(struct tri_packed *packed, size_t bound, struct tri_meta *meta, trp_error *error);
/* Instead of that: takes the last FlatBuffer again with other nodes. `method` NULL: a value. false: it is of another shape. */
bool tri_packed_again(struct tri_packed *packed, const char *method, const struct tri_meta_nodes *nodes,
                      struct tri_meta *meta);
/* What was built is a value, or a call without needs. */
void tri_packed_shape(struct tri_packed *packed, bool call, const struct tri_meta *meta);
/* Ends it: puts the FlatBuffer and a byte block of block_size bytes together. *block: where that is to be written,
 * 8-aligned. `rooms`: whom to ask for room first; it is 64-aligned then. NULL: nobody. TRP_ELIMIT, TRP_ENOMEM; or what rooms say. */
trp_err tri_packed_finish(struct tri_packed *packed, const struct tri_meta *meta, uint64_t block_size,
                          uint32_t ref_count, const struct tri_rooms *rooms, uint8_t **block, trp_error *error);

/* A number, a bool, null, a string or bytes, not large, packed after another one of these: at one go. false: it is none, or
 * wrong, or is to be packed into new memory: as others. */
bool tri_value_pack_plain(struct tri_packed *packed, trp_value value);
/* The same of a call of the method that was packed before, with as many arguments, all of them such values. */
bool tri_call_pack_plain(struct tri_packed *packed, const char *method, trp_value args);
/* Opens a value that is one of these, checked as others are. false: it is none, or wrong, which the long way will say. */
bool tri_view_plain(struct tri_view *view, const struct tri_section *section);

/* The last step: what one unusual message needed is not kept for ever. */
void tri_packed_done(struct tri_packed *packed);

/* A value being packed, or the arguments of a call. */
struct tri_flat {
    struct tri_meta_nodes nodes;
    uint64_t block_size;
    uint64_t inline_size;
    uint32_t ref_count;
};
/* Lays a value out as nodes, and its references as entries; then tri_flat_write fills the byte block. The value is not
 * touched in between. */
trp_err tri_flat_value(struct tri_packed *packed, trp_value value, const struct tri_handles *handles,
                       struct tri_flat *flat, trp_error *error);
trp_err tri_flat_args(struct tri_packed *packed, trp_value args, const struct tri_handles *handles,
                      struct tri_flat *flat, trp_error *error);
void tri_flat_write(const struct tri_packed *packed, const struct tri_flat *flat, uint8_t *block);

/* value_blanks.c: a tensor without data is to get room (`blanks` NULL: it is refused); it is one that was; here is its room. */
trp_err tri_blank_add(struct tri_blanks *blanks, DLTensor *tensor, trp_error *error);
bool tri_is_blank(const DLTensor *tensor);
void tri_blank_fill(DLTensor *tensor, uint8_t *room);

/* Of a tensor: bytes of an element, 0 if it is not of a kind that we carry; and of all, UINT64_MAX if that is too many. */
uint64_t tri_tensor_element(DLDataType type);
uint64_t tri_tensor_bytes(DLDataType type, uint32_t ndim, const int64_t *shape);
enum { TRI_NDIM_MAX = 32, TRI_TENSOR_ALIGN = 64 };

/* At the start of a tensor in the byte block; shape[ndim] and strides[ndim] follow. */
struct tri_wire_tensor {
    uint8_t code, bits;
    uint16_t lanes;
    uint32_t ndim;
    uint64_t data_offset, data_size;
};

/*
 * Of a value in memory that another process could still write to (the arena): what the nodes and the byte block say of sizes and
 * shapes, and all text, is copied when the view is opened and checked there, so that nobody is led outside of it later. Bytes and
 * elements stay where they are. value_heads.c.
 */
struct tri_heads {
    uint64_t *at; /* by node: where its head is in `bytes` */
    uint8_t
        *bytes; /* 8-aligned: {u64 size} of BYTES; with the text, of STR; a tensor's wire struct, shape and strides */
    uint8_t *meta; /* the FlatBuffer */
    bool in_one;   /* all of it lies in one block of memory */
};
void tri_heads_free(struct tri_heads **heads);
/* Copies the heads of all nodes that are within `view`'s bounds. Others, which the check refuses, have an empty one. TRP_ENOMEM. */
trp_err tri_heads_copy(struct tri_view *view, trp_error *error);
/* The same at one go of a value that is so many bytes, and was looked at: sets `nodes`, `node_count` and `heads` of the view, zeroes
 * the rest. false: no memory. */
bool tri_heads_one(struct tri_view *view, const struct tri_wire_node *node, uint64_t size);
/* The head of a STR, BYTES or TENSOR node: to be believed, if the view is open. */
static inline const uint8_t *
tri_view_head(const struct tri_view *view, uint32_t node)
{
    return view->heads != NULL ? view->heads->bytes + view->heads->at[node] : view->bytes + view->nodes[node].payload;
}

/* The data of a section at an 8-aligned address: as it is, or a copy; view->held owns it where anybody has to. */
trp_err tri_view_hold(struct tri_view *view, const struct tri_section *section, const uint8_t **data, trp_error *error);
/* Then, when its nodes have been found: checks them, and closes the view if they are wrong. `args`: the root is as Call
 * says. */
trp_err tri_view_check(struct tri_view *view, const struct tri_section *section, const uint8_t *data,
                       const struct tri_meta_nodes *nodes, bool args, trp_error *error);

#endif
