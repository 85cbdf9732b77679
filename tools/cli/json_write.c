/*
 * json_write.c - values as JSON, in the notation of trp_format where JSON has none, whole and fit to be read again by
 * json_read.c. Pure; any thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/json.h"

enum { BYTES_SHOWN = 64 };

size_t
tri_utf8_end(const char *text, size_t size)
{
    size_t i = 0;

    while (i < size) {
        const unsigned char *at = (const unsigned char *)text + i;
        const size_t step = at[0] < 0x80   ? 1
                            : at[0] < 0xc2 ? 0
                            : at[0] < 0xe0 ? 2
                            : at[0] < 0xf0 ? 3
                            : at[0] < 0xf5 ? 4
                                           : 0;
        if (step == 0 || step > size - i)
            return i;
        for (size_t k = 1; k < step; k++)
            if ((at[k] & 0xc0) != 0x80)
                return i;
        if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
            (at[0] == 0xf4 && at[1] > 0x8f))
            return i;
        i += step;
    }
    return i;
}

/* ------------------------------------------------------------------------------------------------------------- scalars */

static void
write_escaped(FILE *out, const char *text, size_t size)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char *escape = NULL;
        for (const char *pair = escapes; *pair != '\0' && escape == NULL; pair += 2)
            escape = (unsigned char)*pair == c ? pair + 1 : NULL;
        if (escape != NULL) {
            putc_unlocked('\\', out);
            putc_unlocked(*escape, out);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else {
            putc_unlocked(c, out);
        }
    }
}

void
tri_json_write_text(FILE *out, const char *text, size_t size)
{
    putc_unlocked('"', out);
    write_escaped(out, text, size);
    putc_unlocked('"', out);
}

/* A string that looks like another notation is marked as what it is. */
static void
write_string(FILE *out, trp_value value)
{
    putc_unlocked('"', out);
    if (tri_mark_of(trp_as_str(value)) != TRI_MARK_NONE)
        fputs("str:", out);
    write_escaped(out, trp_as_str(value), value.size);
    putc_unlocked('"', out);
}

/* The shortest text that reads as the same number, and as no integer. */
static void
write_number(FILE *out, double number)
{
    char text[40];

    if (number != number || number - number != 0) {
        fprintf(out, "\"f64:%s\"", number != number ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fprintf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void
write_bytes(FILE *out, trp_value value, bool full)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = value.as.bytes;
    const size_t shown = full || value.size <= BYTES_SHOWN ? value.size : BYTES_SHOWN;

    fprintf(out, "\"bytes:%zu:", value.size);
    for (size_t i = 0; i < shown; i++) {
        putc_unlocked(digits[bytes[i] >> 4], out);
        putc_unlocked(digits[bytes[i] & 15], out);
    }
    fputs(shown < value.size ? "...\"" : "\"", out);
}

/* ------------------------------------------------------------------------------------------------------------- tensors */

/* Element i of a row-major tensor of a known type, in host memory. */
static void
write_element(FILE *out, const struct tri_dtype *dtype, const unsigned char *at)
{
    int64_t i64 = 0;
    float f32;
    double f64;

    if (dtype->code == kDLFloat && dtype->bits == 32) {
        memcpy(&f32, at, sizeof f32);
        write_number(out, (double)f32);
    } else if (dtype->code == kDLFloat) {
        memcpy(&f64, at, sizeof f64);
        write_number(out, f64);
    } else if (dtype->code == kDLUInt && dtype->bits == 64) {
        memcpy(&i64, at, 8);
        fprintf(out, "%" PRIu64, (uint64_t)i64);
    } else if (dtype->code == kDLBool) {
        fputs(*at != 0 ? "true" : "false", out);
    } else {
        const unsigned size = dtype->bits / 8;
        memcpy(&i64, at, size);
        if (dtype->code == kDLInt && size < 8 && (at[size - 1] & 0x80) != 0)
            i64 -= INT64_C(1) << dtype->bits;
        fprintf(out, "%" PRId64, i64);
    }
}

/* The elements as one list, in row-major order; types that no JSON number can be, such as float16, as bytes. */
static void
write_elements(FILE *out, const DLTensor *tensor)
{
    const struct tri_dtype *dtype = tri_dtype_find(tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes);
    const size_t each = (size_t)(tensor->dtype.bits / 8) * tensor->dtype.lanes;
    const unsigned char *data = (const unsigned char *)tensor->data + tensor->byte_offset;
    size_t count = 1;

    for (int axis = 0; axis < tensor->ndim; axis++)
        count *= (size_t)tensor->shape[axis];
    if (dtype == NULL || !dtype->is_number) {
        write_bytes(out, trp_bytes(data, count * each), true);
        return;
    }
    putc_unlocked('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", out);
        write_element(out, dtype, data + i * each);
    }
    putc_unlocked(']', out);
}

static void
write_tensor(FILE *out, trp_value value, bool full)
{
    DLTensor tensor;
    char summary[1024];
    const size_t size = trp_format(value, summary, sizeof summary);

    if (!full || !trp_as_tensor(value, &tensor) || size >= sizeof summary || size == 0 || summary[size - 1] != '}') {
        fputs(summary, out);
        return;
    }
    fprintf(out, "%.*s, \"data\": ", (int)size - 1, summary);
    write_elements(out, &tensor);
    putc_unlocked('}', out);
}

/* ---------------------------------------------------------------------------------------------------------- containers */

static void
write_container(FILE *out, trp_value value, bool full)
{
    const bool is_map = value.kind == TRP_MAP;

    putc_unlocked(is_map ? '{' : '[', out);
    for (size_t i = 0; i < value.size; i++) {
        fputs(i > 0 ? ", " : "", out);
        if (is_map) {
            const trp_value key = trp_key_at(value, i);
            tri_json_write_text(out, trp_as_str(key), key.size);
            fputs(": ", out);
        }
        tri_json_write(out, trp_at(value, i), full);
    }
    putc_unlocked(is_map ? '}' : ']', out);
}

void
tri_json_write(FILE *out, trp_value value, bool full)
{
    char text[128];

    switch (value.kind) {
    case TRP_F64:
        write_number(out, value.as.f64);
        break;
    case TRP_STR:
        write_string(out, value);
        break;
    case TRP_BYTES:
        write_bytes(out, value, full);
        break;
    case TRP_TENSOR:
        write_tensor(out, value, full);
        break;
    case TRP_LIST:
    case TRP_TUPLE:
    case TRP_MAP:
        write_container(out, value, full); /* received values have TRP_NESTING_MAX levels at most */
        break;
    case TRP_NONE:
        fputs("null", out);
        break;
    default:
        (void)trp_format(value, text, sizeof text);
        fputs(text, out);
    }
}
