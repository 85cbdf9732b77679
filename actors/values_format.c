/*
 * values_format.c - values as text for people: JSON wherever JSON can say it. Pure; any thread.
 */
#include "actors/values.h"

#include <troupe/runtime.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES_SHOWN = 32 };

/* Counts all, keeps what fits. */
struct text {
    char *text;
    size_t size;
    size_t length;
};

static void
add(struct text *text, const char *bytes, size_t size)
{
    if (text->length + 1 < text->size) {
        size_t room = text->size - 1 - text->length;
        memcpy(text->text + text->length, bytes, size < room ? size : room);
    }
    text->length += size;
}

static void
add_text(struct text *text, const char *more)
{
    add(text, more, strlen(more));
}

__attribute__((format(printf, 2, 3))) static void
add_format(struct text *text, const char *format, ...)
{
    char buffer[96];
    va_list list;
    va_start(list, format);
    vsnprintf(buffer, sizeof buffer, format, list);
    va_end(list);
    add_text(text, buffer);
}

/* ------------------------------------------------------------------------------------------------------------ scalars */

/* The shortest text that reads as the same number, and as no integer. */
static void
add_number(struct text *text, double number)
{
    char buffer[40];
    if (number != number || number - number != 0) {
        add_text(text, number != number ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buffer, sizeof buffer, "%.*g", digits, number);
        if (strtod(buffer, NULL) == number)
            break;
    }
    add_text(text, buffer);
    if (strpbrk(buffer, ".e") == NULL)
        add_text(text, ".0");
}

/* Bytes of the UTF-8 character at `at`, 0 if it is none. */
static size_t
utf8_size(const unsigned char *at, size_t left)
{
    size_t size = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 : 4;
    if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return size;
}

static void
add_string(struct text *text, const char *string, size_t size)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    add_text(text, "\"");
    for (size_t i = 0, step; i < size; i += step) {
        const unsigned char *at = (const unsigned char *)string + i;
        const char *escape = NULL;
        step = utf8_size(at, size - i);
        for (const char *pair = escapes; step == 1 && *pair != '\0' && escape == NULL; pair += 2)
            escape = *pair == (char)*at ? pair + 1 : NULL;
        if (step == 0) {
            step = 1;
            add_text(text, "\\ufffd");
        } else if (escape != NULL) {
            add_text(text, "\\");
            add(text, escape, 1);
        } else if (*at < 0x20 || *at == 0x7f) {
            add_format(text, "\\u%04x", *at);
        } else {
            add(text, (const char *)at, step);
        }
    }
    add_text(text, "\"");
}

/* "bytes:5:68656c6c6f" */
static void
add_bytes(struct text *text, trp_value value)
{
    const uint8_t *bytes = value.as.bytes;
    add_format(text, "\"bytes:%zu:", value.size);
    for (size_t i = 0; i < value.size && i < BYTES_SHOWN; i++)
        add_format(text, "%02x", bytes[i]);
    add_text(text, value.size > BYTES_SHOWN ? "...\"" : "\"");
}

static void
add_tensor(struct text *text, trp_value value)
{
    static const char *const names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
    DLTensor tensor;
    if (!trp_as_tensor(value, &tensor)) {
        add_text(text, "null");
        return;
    }
    const char *name = tensor.dtype.code < sizeof names / sizeof *names ? names[tensor.dtype.code] : "unknown";
    if (tensor.dtype.code == kDLBool && tensor.dtype.bits == 8)
        add_text(text, "{\"dtype\": \"bool");
    else
        add_format(text, "{\"dtype\": \"%s%u", name, tensor.dtype.bits);
    if (tensor.dtype.lanes != 1)
        add_format(text, "x%u", tensor.dtype.lanes);
    add_text(text, "\", \"shape\": [");
    for (int axis = 0; axis < tensor.ndim; axis++)
        add_format(text, "%s%" PRId64, axis > 0 ? ", " : "", tensor.shape[axis]);
    add_text(text, "]}");
}

/* --------------------------------------------------------------------------------------------------------- containers */

static void add_value(struct text *text, trp_value value, int level);

static void
add_items(struct text *text, trp_value value, int level)
{
    add_text(text, "[");
    for (size_t i = 0; i < value.size; i++) {
        if (i > 0)
            add_text(text, ", ");
        add_value(text, trp_at(value, i), level + 1);
    }
    add_text(text, "]");
}

static void
add_map(struct text *text, trp_value value, int level)
{
    add_text(text, "{");
    for (size_t i = 0; i < value.size; i++) {
        if (i > 0)
            add_text(text, ", ");
        trp_value key = trp_key_at(value, i);
        add_string(text, trp_as_str(key), key.kind == TRP_STR ? key.size : 0);
        add_text(text, ": ");
        add_value(text, trp_at(value, i), level + 1);
    }
    add_text(text, "}");
}

static void
add_keyword(struct text *text, trp_value value, int level)
{
    const trp_value *pair = value.as.opaque;
    if (pair == NULL)
        return;
    add_text(text, trp_as_str(pair[0]));
    add_text(text, "=");
    add_value(text, pair[1], level + 1);
}

static void
add_container(struct text *text, trp_value value, int level)
{
    if (!tri_level_may_open(value.kind, &level))
        add_text(text, "\"...\"");
    else if (value.kind == TRP_MAP)
        add_map(text, value, level);
    else if (value.kind == TRP_KEYWORD)
        add_keyword(text, value, level);
    else
        add_items(text, value, level);
}

static void
add_value(struct text *text, trp_value value, int level)
{
    switch (value.kind) {
    case TRP_BOOL:
        add_text(text, value.as.boolean ? "true" : "false");
        break;
    case TRP_I64:
        add_format(text, "%" PRId64, value.as.i64);
        break;
    case TRP_F64:
        add_number(text, value.as.f64);
        break;
    case TRP_STR:
        add_string(text, value.as.str, value.size);
        break;
    case TRP_BYTES:
        add_bytes(text, value);
        break;
    case TRP_LIST:
    case TRP_TUPLE:
    case TRP_ARGS:
    case TRP_MAP:
    case TRP_KEYWORD:
        add_container(text, value, level);
        break;
    case TRP_TENSOR:
        add_tensor(text, value);
        break;
    case TRP_REF:
        add_format(text, "\"ref:%s\"", trp_ref_id(value.as.ref));
        break;
    case TRP_ACTOR:
        add_format(text, "\"actor:%s\"", trp_actor_id(value.as.actor));
        break;
    case TRP_NULL:
        add_text(text, "null");
        break;
    case TRP_NONE:
        add_text(text, "none");
        break;
    }
}

size_t
trp_format(trp_value value, char *text, size_t size)
{
    struct text out = {text, size, 0};
    add_value(&out, value, tri_level_of(value));
    if (size > 0)
        text[out.length < size ? out.length : size - 1] = '\0';
    return out.length;
}
