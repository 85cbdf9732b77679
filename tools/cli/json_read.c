/*
 * json_read.c - JSON text to values: strict, no key twice, TRP_NESTING_MAX levels, integers of 64 bits. One thread. It knows
 * the marks of strings ("ref:ID"), and nothing of operands.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/json.h"

/* ------------------------------------------------------------------------------------------------- what values stand on */

struct tri_held {
    struct tri_held *next;
    void *thing;
    void (*release)(void *thing);
};

bool
tri_values_hold(struct tri_values *values, void *thing, void (*release)(void *thing))
{
    struct tri_held *held = thing != NULL ? malloc(sizeof *held) : NULL;

    if (held == NULL) {
        if (thing != NULL)
            release(thing);
        return false;
    }
    *held = (struct tri_held){values->held, thing, release};
    values->held = held;
    return true;
}

void
tri_values_fini(struct tri_values *values)
{
    while (values->held != NULL) {
        struct tri_held *held = values->held;
        values->held = held->next;
        held->release(held->thing);
        free(held);
    }
}

static void
release_json(void *thing)
{
    json_decref(thing);
}

static void
release_ref(void *thing)
{
    trp_ref *ref = thing;
    trp_ref_release(&ref);
}

static void
release_actor(void *thing)
{
    trp_actor *actor = thing;
    trp_actor_release(&actor);
}

/* Memory of the values; NULL: said. */
static void *
memory_of(struct tri_cli *cli, struct tri_values *values, size_t count, size_t each, int *exit_code)
{
    void *memory = calloc(count + 1, each);

    if (tri_values_hold(values, memory, free))
        return memory;
    *exit_code = tri_fail_text(cli, "out of memory");
    return NULL;
}

/* --------------------------------------------------------------------------------------------------------- marked strings */

static int
hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* "bytes:N:HEX" */
static int
read_bytes(struct tri_cli *cli, struct tri_values *values, const char *text, trp_value *value)
{
    const char *colon = strchr(text + 6, ':'), *hex = colon != NULL ? colon + 1 : "";
    const size_t digits = strlen(hex);
    char *end = NULL;
    const unsigned long long size = strtoull(text + 6, &end, 10);
    unsigned char *bytes;
    int exit_code = TRI_EXIT_OK;

    if (colon == NULL || end != colon || end == text + 6 || text[6] == '-')
        return tri_refuse(cli, "'%.60s' has to be \"bytes:N:HEX\", N their number; a string is \"str:%.60s\"", text,
                          text);
    if (digits >= 3 && strcmp(hex + digits - 3, "...") == 0)
        return tri_refuse(cli, "'%.60s...' has only the first of its %llu bytes; --full prints all", text, size);
    if (digits / 2 != size || digits % 2 != 0)
        return tri_refuse(cli, "'%.60s' has %zu hex digits for %llu bytes", text, digits, size);
    bytes = memory_of(cli, values, (size_t)size, 1, &exit_code);
    for (size_t i = 0; bytes != NULL && i < (size_t)size; i++) {
        const int high = hex_of(hex[2 * i]), low = hex_of(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return tri_refuse(cli, "'%.60s' has '%c%c' where hex digits have to be", text, hex[2 * i], hex[2 * i + 1]);
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    *value = trp_bytes(bytes, (size_t)size);
    return exit_code;
}

static int
read_f64(struct tri_cli *cli, const char *text, trp_value *value)
{
    char *end = NULL;
    const double number = strtod(text + 4, &end);

    if (text[4] == '\0' || text[4] == ' ' || *end != '\0')
        return tri_refuse(cli, "'%.60s' has to be a number after \"f64:\"; a string is \"str:%.60s\"", text, text);
    *value = trp_f64(number);
    return TRI_EXIT_OK;
}

static int
read_ref(struct tri_cli *cli, struct tri_values *values, const char *name, trp_value *value)
{
    trp_ref *ref = NULL;
    const int exit_code = tri_find_kept(cli, name, &ref);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (!tri_values_hold(values, ref, release_ref))
        return tri_fail_text(cli, "out of memory");
    *value = trp_ref_value(ref);
    return TRI_EXIT_OK;
}

static int
read_actor(struct tri_cli *cli, struct tri_values *values, const char *name, trp_value *value)
{
    trp_actor *actor = NULL;
    int exit_code = tri_join(cli);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_find_actor(cli, name, &actor);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (!tri_values_hold(values, actor, release_actor))
        return tri_fail_text(cli, "out of memory");
    *value = trp_actor_value(actor);
    return TRI_EXIT_OK;
}

int
tri_json_string(struct tri_cli *cli, struct tri_values *values, const char *text, size_t size, trp_value *value)
{
    switch (tri_mark_of(text)) {
    case TRI_MARK_REF:
        return read_ref(cli, values, text, value);
    case TRI_MARK_ACTOR:
        return read_actor(cli, values, text, value);
    case TRI_MARK_BYTES:
        return read_bytes(cli, values, text, value);
    case TRI_MARK_F64:
        return read_f64(cli, text, value);
    case TRI_MARK_STR:
        text += 4;
        size -= 4;
        break;
    case TRI_MARK_NONE:
        break;
    }
    *value = trp_value_(TRP_STR, text, size);
    return TRI_EXIT_OK;
}

/* ------------------------------------------------------------------------------------------------------------- tensors */

static bool
is_tensor(const json_t *object)
{
    return json_object_size(object) == 3 && json_is_string(json_object_get(object, "dtype")) &&
           json_is_array(json_object_get(object, "shape")) && json_object_get(object, "data") != NULL;
}

/* One number into memory of its type. false: it does not fit. */
static bool
store_element(const struct tri_dtype *dtype, const json_t *item, unsigned char *at)
{
    const double f64 = json_number_value(item);
    const float f32 = (float)f64;
    const int64_t i64 = json_is_boolean(item) ? json_is_true(item) : json_integer_value(item);
    const unsigned size = dtype->bits / 8;

    if (dtype->code == kDLFloat) {
        memcpy(at, size == 4 ? (const void *)&f32 : (const void *)&f64, size);
        return json_is_number(item);
    }
    memcpy(at, &i64, size);
    if (!json_is_integer(item) && !json_is_boolean(item))
        return false;
    if (dtype->code == kDLBool)
        return i64 == 0 || i64 == 1;
    if (dtype->code == kDLUInt)
        return i64 >= 0 && (size == 8 || i64 < INT64_C(1) << dtype->bits);
    return size == 8 || (i64 >= -(INT64_C(1) << (dtype->bits - 1)) && i64 < INT64_C(1) << (dtype->bits - 1));
}

static int
read_elements(struct tri_cli *cli, struct tri_values *values, const struct tri_dtype *dtype, const json_t *data,
              size_t count, void **memory)
{
    const size_t each = dtype->bits / 8;
    int exit_code = TRI_EXIT_OK;
    trp_value bytes;

    if (json_is_string(data) && tri_mark_of(json_string_value(data)) == TRI_MARK_BYTES) {
        exit_code = read_bytes(cli, values, json_string_value(data), &bytes);
        if (exit_code == TRI_EXIT_OK && bytes.size != count * each)
            return tri_refuse(cli, "a tensor's data has %zu bytes, its shape takes %zu", bytes.size, count * each);
        *memory = exit_code == TRI_EXIT_OK ? (void *)bytes.as.bytes : NULL;
        return exit_code;
    }
    if (!json_is_array(data) || !dtype->is_number)
        return tri_refuse(cli, "a tensor's data has to be %s",
                          dtype->is_number ? "a list of numbers, or \"bytes:N:HEX\""
                                           : "\"bytes:N:HEX\" for this dtype");
    if (json_array_size(data) != count)
        return tri_refuse(cli, "a tensor's data has %zu numbers, its shape takes %zu", json_array_size(data), count);
    *memory = memory_of(cli, values, count, each, &exit_code);
    for (size_t i = 0; *memory != NULL && i < count; i++)
        if (!store_element(dtype, json_array_get(data, i), (unsigned char *)*memory + i * each))
            return tri_refuse(cli, "number %zu of a tensor's data is not one that %s holds", i, dtype->name);
    return exit_code;
}

static int
read_tensor(struct tri_cli *cli, struct tri_values *values, const json_t *object, trp_value *value)
{
    const char *name = json_string_value(json_object_get(object, "dtype"));
    const json_t *axes = json_object_get(object, "shape");
    const struct tri_dtype *dtype = tri_dtype_named(name);
    const size_t ndim = json_array_size(axes);
    size_t count = 1;
    int exit_code = TRI_EXIT_OK;
    DLTensor *tensor;
    int64_t *shape;

    if (dtype == NULL)
        return tri_refuse(cli,
                          "a tensor's dtype is '%.40s', which is none; there is int8 to uint64, float16 to float64, "
                          "bfloat16, bool",
                          name);
    if (ndim > 32)
        return tri_refuse(cli, "a tensor has %zu dimensions, 32 are the most", ndim);
    shape = memory_of(cli, values, ndim, sizeof *shape, &exit_code);
    tensor = memory_of(cli, values, 1, sizeof *tensor, &exit_code);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    for (size_t i = 0; i < ndim; i++) {
        const json_t *axis = json_array_get(axes, i);
        shape[i] = json_integer_value(axis);
        if (!json_is_integer(axis) || shape[i] < 0 || __builtin_mul_overflow(count, (size_t)shape[i], &count) ||
            count > SIZE_MAX / 16)
            return tri_refuse(cli, "a tensor's shape has to be a list of numbers from 0 on");
    }
    *tensor = trp_dense(NULL, TRP_INT8, (int)ndim, shape);
    tensor->dtype.code = dtype->code;
    tensor->dtype.bits = dtype->bits;
    exit_code = read_elements(cli, values, dtype, json_object_get(object, "data"), count, &tensor->data);
    *value = trp_tensor(tensor);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ the tree */

static int convert(struct tri_cli *cli, struct tri_values *values, const json_t *json, int level, trp_value *value);

static int
convert_list(struct tri_cli *cli, struct tri_values *values, const json_t *json, int level, trp_value *value)
{
    const size_t count = json_array_size(json);
    int exit_code = TRI_EXIT_OK;
    trp_value *items = memory_of(cli, values, count, sizeof *items, &exit_code);

    for (size_t i = 0; i < count && exit_code == TRI_EXIT_OK; i++)
        exit_code = convert(cli, values, json_array_get(json, i), level + 1, &items[i]);
    *value = trp_list(items, count);
    return exit_code;
}

static int
convert_map(struct tri_cli *cli, struct tri_values *values, const json_t *json, int level, trp_value *value)
{
    json_t *object = (json_t *)json; /* iterating takes it as writable, and does not write */
    int exit_code = TRI_EXIT_OK;
    trp_value *entries = memory_of(cli, values, 2 * json_object_size(json), sizeof *entries, &exit_code);
    size_t at = 0;

    for (void *i = json_object_iter(object); i != NULL && exit_code == TRI_EXIT_OK;
         i = json_object_iter_next(object, i)) {
        entries[at++] = trp_str(json_object_iter_key(i));
        exit_code = convert(cli, values, json_object_iter_value(i), level + 1, &entries[at++]);
    }
    *value = trp_map(entries, at / 2);
    return exit_code;
}

static int
convert(struct tri_cli *cli, struct tri_values *values, const json_t *json, int level, trp_value *value)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        *value = trp_null();
        return TRI_EXIT_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = trp_bool(json_is_true(json));
        return TRI_EXIT_OK;
    case JSON_INTEGER:
        *value = trp_i64(json_integer_value(json));
        return TRI_EXIT_OK;
    case JSON_REAL:
        *value = trp_f64(json_real_value(json));
        return TRI_EXIT_OK;
    case JSON_STRING:
        return tri_json_string(cli, values, json_string_value(json), json_string_length(json), value);
    case JSON_OBJECT:
        if (is_tensor(json))
            return read_tensor(cli, values, json, value);
        break;
    case JSON_ARRAY:
        break;
    }
    if (level == TRP_NESTING_MAX)
        return tri_refuse(cli, "a value has more than %d levels of lists and objects", TRP_NESTING_MAX);
    return json_is_object(json) ? convert_map(cli, values, json, level, value)
                                : convert_list(cli, values, json, level, value);
}

/* Text that is short, begins as a number and has nothing that needs an escape: perhaps a string was meant. */
static bool
is_plain(const char *text, size_t size)
{
    return size <= 40 && strspn(text, "-0123456789") > 0 && strcspn(text, " \t\r\n\"\\'[]{}") >= size;
}

static const char whole_range[] = "an int64, -9223372036854775808 to 9223372036854775807";

static int
refuse_json(struct tri_cli *cli, const char *where, const char *text, size_t size, const json_error_t *error)
{
    const bool is_nul = json_error_code(error) == json_error_null_character;
    const bool is_large = json_error_code(error) == json_error_numeric_overflow;
    const bool is_whole = strstr(error->text, "integer") != NULL;
    const char *why = is_nul ? "\\u0000 is no character of a string" : error->text;

    if (is_large && is_plain(text, size))
        return tri_refuse(cli, "%s is too large for %s; a string is written '\"%.*s\"'", where,
                          is_whole ? whole_range : "a float64, 1.8e308 at most", (int)size, text);
    if (is_large)
        return tri_refuse(cli, "%s has a number that is too large for %s, at line %d, column %d", where,
                          is_whole ? whole_range : "a float64, 1.8e308 at most", error->line, error->column);
    if (is_plain(text, size))
        return tri_refuse(cli, "%s is not JSON: %s, at column %d; a string is written '\"%.*s\"'", where, why,
                          error->column, (int)size, text);
    if (error->line > 1)
        return tri_refuse(cli, "%s is not JSON: %s, at line %d, column %d", where, why, error->line, error->column);
    return tri_refuse(cli, "%s is not JSON: %s, at column %d", where, why, error->column);
}

int
tri_json_read(struct tri_cli *cli, struct tri_values *values, const char *where, const char *text, size_t size,
              trp_value *value)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

    if (json == NULL)
        return refuse_json(cli, where, text, size, &error);
    if (!tri_values_hold(values, json, release_json))
        return tri_fail_text(cli, "out of memory");
    return convert(cli, values, json, 0, value);
}

bool
tri_json_is(const char *text, size_t size)
{
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    json_decref(json);
    return json != NULL;
}
