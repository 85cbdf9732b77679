/*
 * json_marks.c - what JSON has no word for and how it is written in JSON: marks at the beginning of strings, and names of
 * tensors' element types. Pure; any thread.
 */
#include <string.h>

#include "tools/cli/json.h"

enum tri_mark
tri_mark_of(const char *text)
{
    static const char *const marks[] = {
        [TRI_MARK_REF] = "ref:", [TRI_MARK_ACTOR] = "actor:", [TRI_MARK_BYTES] = "bytes:",
        [TRI_MARK_F64] = "f64:", [TRI_MARK_STR] = "str:",
    };

    for (int mark = TRI_MARK_REF; mark <= TRI_MARK_STR; mark++)
        if (strncmp(text, marks[mark], strlen(marks[mark])) == 0)
            return (enum tri_mark)mark;
    return TRI_MARK_NONE;
}

static const struct tri_dtype dtypes[] = {
    {"int8", kDLInt, 8, true},          {"int16", kDLInt, 16, true},   {"int32", kDLInt, 32, true},
    {"int64", kDLInt, 64, true},        {"uint8", kDLUInt, 8, true},   {"uint16", kDLUInt, 16, true},
    {"uint32", kDLUInt, 32, true},      {"uint64", kDLUInt, 64, true}, {"float32", kDLFloat, 32, true},
    {"float64", kDLFloat, 64, true},    {"bool", kDLBool, 8, true},    {"float16", kDLFloat, 16, false},
    {"bfloat16", kDLBfloat, 16, false},
};
enum { DTYPE_COUNT = sizeof dtypes / sizeof *dtypes };

const struct tri_dtype *
tri_dtype_find(uint8_t code, uint8_t bits, uint16_t lanes)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (dtypes[i].code == code && dtypes[i].bits == bits && lanes == 1)
            return &dtypes[i];
    return NULL;
}

const struct tri_dtype *
tri_dtype_named(const char *name)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}
