/* json.h - what reading and writing JSON share: the types of tensors. Private to tools/cli/ and tools/sh/. */
#ifndef TRI_JSON_H
#define TRI_JSON_H

#include "tools/cli/cli.h"

/* What a string of JSON says that JSON has no word for. */
enum tri_mark { TRI_MARK_NONE, TRI_MARK_REF, TRI_MARK_ACTOR, TRI_MARK_BYTES, TRI_MARK_F64, TRI_MARK_STR };
/* By its first letters, "ref:" and so on. */
enum tri_mark tri_mark_of(const char *text);

/* A string of JSON, or a word that is none: what its mark says, else itself. `text` is borrowed. */
int tri_json_string(struct tri_cli *cli, struct tri_values *values, const char *text, size_t size, trp_value *value);
/* Whether the text is JSON. */
bool tri_json_is(const char *text, size_t size);

/* A type of tensors' elements by the name that it has in JSON. */
struct tri_dtype {
    const char *name;
    uint8_t code, bits;
    bool is_number; /* written as a number; else all elements as bytes */
};
/* NULL: none of ours. */
const struct tri_dtype *tri_dtype_find(uint8_t code, uint8_t bits, uint16_t lanes);
const struct tri_dtype *tri_dtype_named(const char *name);

#endif
