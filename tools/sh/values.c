/*
 * values.c - the shell's variables, and the ways into them. One thread. A variable holds the reference that its value came by,
 * so that nothing is copied; what came by none is copied through JSON.
 */
#include "tools/sh/sh.h"

#include <stdlib.h>
#include <string.h>

void
tri_sh_value_fini(struct tri_sh_value *held)
{
    trp_ref_release(&held->ref);
    tri_values_fini(&held->values);
    *held = (struct tri_sh_value){.value = trp_null()};
}

static void
release_actor(void *thing)
{
    trp_actor *actor = thing;

    trp_actor_release(&actor);
}

static void
release_ref(void *thing)
{
    trp_ref *ref = thing;

    trp_ref_release(&ref);
}

/* Memory of the values, NULL: none; it is never of no size. */
static void *
memory_of(struct tri_values *values, size_t count, size_t each)
{
    void *memory = calloc(count + 1, each);

    return tri_values_hold(values, memory, free) ? memory : NULL;
}

static bool copy_value(struct tri_sh *sh, struct tri_values *values, trp_value from, trp_value *to);

/* A tensor, by its JSON. */
static bool
copy_tensor(struct tri_sh *sh, struct tri_values *values, trp_value from, trp_value *to)
{
    size_t size = 0;
    char *text = tri_sh_json(from, &size);
    const bool copied = text != NULL && tri_json_read(&sh->cli, values, "a result", text, size, to) == TRI_EXIT_OK;

    free(text);
    return copied;
}

static bool
copy_items(struct tri_sh *sh, struct tri_values *values, trp_value from, trp_value *to)
{
    const bool is_map = from.kind == TRP_MAP;
    trp_value *items = memory_of(values, (is_map ? 2 : 1) * from.size, sizeof *items);
    bool copied = items != NULL;

    for (size_t i = 0; i < from.size && copied; i++) {
        if (is_map)
            copied = copy_value(sh, values, trp_key_at(from, i), &items[2 * i]) &&
                     copy_value(sh, values, trp_at(from, i), &items[2 * i + 1]);
        else
            copied = copy_value(sh, values, trp_at(from, i), &items[i]);
    }
    *to = is_map                   ? trp_map(items, from.size)
          : from.kind == TRP_TUPLE ? trp_tuple(items, from.size)
                                   : trp_list(items, from.size);
    return copied;
}

/* All of it, handles and references retained: an actor without a name lives as long as its handles do. */
static bool
copy_value(struct tri_sh *sh, struct tri_values *values, trp_value from, trp_value *to)
{
    char *memory;

    *to = from;
    switch (from.kind) {
    case TRP_STR:
    case TRP_BYTES:
        memory = memory_of(values, from.size, 1);
        if (memory != NULL && from.size > 0)
            memcpy(memory, from.as.opaque, from.size);
        to->as.opaque = memory;
        return memory != NULL;
    case TRP_LIST:
    case TRP_TUPLE:
    case TRP_MAP:
        return copy_items(sh, values, from, to);
    case TRP_TENSOR:
        return copy_tensor(sh, values, from, to);
    case TRP_REF:
        return tri_values_hold(values, trp_ref_retain(from.as.ref), release_ref);
    case TRP_ACTOR:
        return tri_values_hold(values, trp_actor_retain(from.as.actor), release_actor);
    default:
        return true;
    }
}

int
tri_sh_value_set(struct tri_sh *sh, struct tri_sh_value *held, trp_ref *ref, trp_value value)
{
    tri_sh_value_fini(held);
    if (ref == NULL)
        return copy_value(sh, &held->values, value, &held->value) ? TRI_EXIT_OK
                                                                  : tri_fail_text(&sh->cli, "out of memory");
    held->ref = trp_ref_retain(ref);
    held->value = value;
    return TRI_EXIT_OK;
}

/* --------------------------------------------------------------------------------------------------------- variables */

static struct tri_sh_variable *
find_variable(struct tri_sh *sh, const char *name, size_t size)
{
    for (struct tri_sh_variable *variable = sh->variables; variable != NULL; variable = variable->next)
        if (strlen(variable->name) == size && memcmp(variable->name, name, size) == 0)
            return variable;
    return NULL;
}

int
tri_sh_assign(struct tri_sh *sh, const char *name, size_t size, struct tri_sh_value *held)
{
    struct tri_sh_variable *variable = find_variable(sh, name, size);

    if (variable == NULL) {
        variable = calloc(1, sizeof *variable + size + 1);
        if (variable == NULL) {
            tri_sh_value_fini(held);
            return tri_fail_text(&sh->cli, "out of memory");
        }
        memcpy(variable->name, name, size);
        variable->next = sh->variables;
        sh->variables = variable;
    }
    tri_sh_value_fini(&variable->held);
    variable->held = *held;
    *held = (struct tri_sh_value){.value = trp_null()};
    return TRI_EXIT_OK;
}

void
tri_sh_unset(struct tri_sh *sh, const char *name)
{
    struct tri_sh_variable **at = &sh->variables;

    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (*at != NULL) {
        struct tri_sh_variable *gone = *at;
        *at = gone->next;
        tri_sh_value_fini(&gone->held);
        free(gone);
    }
}

/* --------------------------------------------------------------------------------------------------------------- paths */

static bool
is_letter(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool
tri_sh_is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_letter(text[i]) && !(i > 0 && is_digit(text[i])))
            return false;
    return size > 0;
}

static size_t
name_size(const char *text)
{
    size_t size = 0;

    while (is_letter(text[size]) || (size > 0 && is_digit(text[size])))
        size++;
    return size;
}

/* Bytes of "[-12]"; 0: it is none. */
static size_t
index_size(const char *text)
{
    size_t size = 1;

    if (text[0] != '[')
        return 0;
    size += text[size] == '-';
    if (!is_digit(text[size]))
        return 0;
    while (is_digit(text[size]))
        size++;
    return text[size] == ']' ? size + 1 : 0;
}

size_t
tri_sh_path_size(const char *text)
{
    size_t size = text[0] == '?' ? 1 : name_size(text), more;

    while (size > 0) {
        if (text[size] == '.' && (more = name_size(text + size + 1)) > 0)
            size += 1 + more;
        else if ((more = index_size(text + size)) > 0)
            size += more;
        else
            break;
    }
    return size;
}

/* One step, ".key" or "[index]"; false: there is nothing. */
static bool
step(const char **path, const char *limit, trp_value *value)
{
    const char *at = *path + 1;

    if (**path == '.') {
        size_t size = 0;
        while (at + size < limit && at[size] != '.' && at[size] != '[')
            size++;
        *path = at + size;
        for (size_t i = 0; value->kind == TRP_MAP && i < value->size; i++) {
            const trp_value key = trp_key_at(*value, i);
            if (key.kind == TRP_STR && key.size == size && memcmp(key.as.str, at, size) == 0) {
                *value = trp_at(*value, i);
                return true;
            }
        }
        return false;
    }
    if (**path == '[' && (value->kind == TRP_LIST || value->kind == TRP_TUPLE)) {
        char *end = NULL;
        long long i = strtoll(at, &end, 10);
        if (end == at || *end != ']')
            return false;
        *path = end + 1;
        if (i < 0)
            i += (long long)value->size;
        if (i < 0 || (size_t)i >= value->size)
            return false;
        *value = trp_at(*value, (size_t)i);
        return true;
    }
    return false;
}

/* What the value has that a step was not found in; `size` of the path lead to it. */
static void
describe(struct tri_sh_found *found, const char *path, size_t size)
{
    const trp_value value = found->value;
    char *text = found->there;
    size_t used = (size_t)snprintf(text, sizeof found->there, "'$%.*s' ", size < 60 ? (int)size : 60, path);

    if (value.kind != TRP_MAP && value.kind != TRP_LIST && value.kind != TRP_TUPLE)
        (void)snprintf(text + used, sizeof found->there - used, "is neither a list nor a map");
    else if (value.size == 0)
        (void)snprintf(text + used, sizeof found->there - used, "is empty");
    else if (value.kind != TRP_MAP)
        (void)snprintf(text + used, sizeof found->there - used, "has [0] to [%zu]", value.size - 1);
    for (size_t i = 0; value.kind == TRP_MAP && i < value.size && used + 8 < sizeof found->there; i++) {
        const trp_value key = trp_key_at(value, i);
        const bool fits = used + key.size + 8 < sizeof found->there;
        used += (size_t)snprintf(text + used, sizeof found->there - used, "%s%.*s", i == 0 ? "has " : ", ",
                                 fits ? (int)key.size : 3, fits ? key.as.str : "...");
        if (!fits)
            break;
    }
}

/* $env.NAME: the environment. */
static bool
find_environment(const char *path, size_t size, trp_value *value)
{
    char name[256];
    const char *text;

    if (size < 5 || memcmp(path, "env.", 4) != 0 || size - 4 >= sizeof name)
        return false;
    memcpy(name, path + 4, size - 4);
    name[size - 4] = '\0';
    text = getenv(name);
    if (text == NULL || tri_utf8_end(text, strlen(text)) < strlen(text))
        return false;
    *value = trp_str(text);
    return true;
}

static const char *
meant_by(struct tri_sh *sh, const char *path, size_t size)
{
    enum { NAMES_MAX = 256 };
    const char *names[NAMES_MAX + 1] = {NULL};
    char typed[256];
    int count = 0;

    for (struct tri_sh_variable *variable = sh->variables; variable != NULL && count < NAMES_MAX;
         variable = variable->next)
        names[count++] = variable->name;
    (void)snprintf(typed, sizeof typed, "%.*s", (int)size, path);
    return tri_suggest(typed, names);
}

bool
tri_sh_find(struct tri_sh *sh, const char *path, size_t size, struct tri_sh_found *found)
{
    const char *at = path, *limit = path + size;
    const size_t name = path[0] == '?' ? 1 : name_size(path);
    struct tri_sh_variable *variable = find_variable(sh, path, name);

    *found = (struct tri_sh_found){.value = trp_null()};
    if (size > 0 && path[0] == '?') {
        found->value = trp_i64(sh->status);
    } else if (variable != NULL && name <= size) {
        found->value = variable->held.value;
        found->ref = variable->held.ref;
    } else if (find_environment(path, size, &found->value)) {
        return true;
    } else {
        found->meant = meant_by(sh, path, name < size ? name : size);
        return false;
    }
    for (at += name; at < limit;) {
        const char *before = at;
        if (!step(&at, limit, &found->value)) {
            describe(found, path, (size_t)(before - path));
            return false;
        }
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- conditions */

bool
tri_sh_is_true(trp_value value)
{
    return value.kind != TRP_NULL && (value.kind != TRP_BOOL || value.as.boolean);
}

static bool
is_number(trp_value value)
{
    return value.kind == TRP_I64 || value.kind == TRP_F64;
}

int
tri_sh_compare(trp_value a, trp_value b)
{
    if (a.kind == TRP_I64 && b.kind == TRP_I64)
        return (a.as.i64 > b.as.i64) - (a.as.i64 < b.as.i64);
    if (is_number(a) && is_number(b)) {
        const double x = trp_as_f64(a), y = trp_as_f64(b);
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
    }
    if (a.kind == TRP_STR && b.kind == TRP_STR) {
        const size_t size = a.size < b.size ? a.size : b.size;
        const int order = size > 0 ? memcmp(a.as.str, b.as.str, size) : 0;
        return order != 0 ? (order > 0) - (order < 0) : (a.size > b.size) - (a.size < b.size);
    }
    return trp_equal(a, b) ? 0 : 2;
}
