/*
 * signature.c - the descriptions of parameters in method tables, "name:s, score:d=60.0, ...": parsed once when a module is
 * loaded, then each call's arguments are fitted to them. Pure; a parsed signature is read-only and may be used by any
 * thread. It must not know where calls come from.
 */
#include <jansson.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/runtime.h"
#include "actors/values.h"

struct parameter {
    char name[64];
    const char *picture; /* in the signature's text */
    bool has_default;
    trp_value value; /* the default */
};

/* Memory of the defaults. */
struct block {
    struct block *next;
    _Alignas(16) unsigned char bytes[];
};

struct tri_signature {
    char *text;
    struct block *blocks;
    uint32_t count;
    bool open;  /* ends in "...": further arguments pass */
    bool plain; /* each parameter is to be a number, a string, bytes or anything: kinds[] says which fits as it is */
    uint8_t kinds[TRI_PARAMETERS_MAX];
    struct parameter parameters[];
};

/* ----------------------------------------------------------------------------------------------------- JSON to values */

struct parsing {
    struct tri_signature *signature;
    const char *at;
    trp_error *error;
};

static void *
allocate(struct tri_signature *signature, size_t size)
{
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->next = signature->blocks;
    signature->blocks = block;
    return block->bytes;
}

static bool from_json(struct tri_signature *signature, const char *picture, const json_t *json, int depth,
                      trp_value *value);

static bool
text_from_json(struct tri_signature *signature, trp_kind kind, const json_t *json, trp_value *value)
{
    size_t size = json_string_length(json);
    char *copy = json_is_string(json) ? allocate(signature, size + 1) : NULL;
    if (copy == NULL)
        return false;
    memcpy(copy, json_string_value(json), size);
    copy[size] = '\0';
    *value = trp_value_(kind, copy, size);
    return true;
}

static bool
list_from_json(struct tri_signature *signature, const char *picture, const json_t *json, int depth, trp_value *value)
{
    size_t size = json_array_size(json);
    bool is_tuple = *picture == '(';
    trp_value *items =
        json_is_array(json) && depth < TRP_NESTING_MAX ? allocate(signature, (size + 1) * sizeof *items) : NULL;
    if (items == NULL)
        return false;
    const char *item = *picture == 'v' ? picture : picture + 1;
    for (size_t i = 0; i < size; i++) {
        if (*item == ')' || !from_json(signature, item, json_array_get(json, i), depth + 1, &items[i]))
            return false;
        if (is_tuple)
            tri_picture_skip(&item);
    }
    *value = is_tuple ? trp_tuple(items, size) : trp_list(items, size);
    return !is_tuple || *item == ')';
}

static bool
map_from_json(struct tri_signature *signature, const char *picture, json_t *json, int depth, trp_value *value)
{
    size_t size = json_object_size(json), i = 0;
    trp_value *entries =
        json_is_object(json) && depth < TRP_NESTING_MAX ? allocate(signature, (2 * size + 1) * sizeof *entries) : NULL;
    const char *key;
    json_t *item;
    if (entries == NULL)
        return false;
    json_object_foreach(json, key, item)
    {
        char *copy = allocate(signature, strlen(key) + 1);
        if (copy == NULL ||
            !from_json(signature, *picture == 'v' ? picture : picture + 2, item, depth + 1, &entries[2 * i + 1]))
            return false;
        entries[2 * i++] = trp_str(strcpy(copy, key));
    }
    *value = trp_map(entries, size);
    return true;
}

static bool
any_from_json(struct tri_signature *signature, const json_t *json, int depth, trp_value *value)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return map_from_json(signature, "v", (json_t *)(uintptr_t)json, depth, value);
    case JSON_ARRAY:
        return list_from_json(signature, "v", json, depth, value);
    case JSON_STRING:
        return text_from_json(signature, TRP_STR, json, value);
    case JSON_INTEGER:
        *value = trp_i64(json_integer_value(json));
        return true;
    case JSON_REAL:
        *value = trp_f64(json_real_value(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = trp_bool(json_is_true(json));
        return true;
    case JSON_NULL:
        break;
    }
    *value = trp_null();
    return true;
}

/* The value that JSON stands for where the picture is wanted, with `depth` containers around it; false: it cannot. */
static bool
from_json(struct tri_signature *signature, const char *picture, const json_t *json, int depth, trp_value *value)
{
    switch (*picture) {
    case 'v':
        return any_from_json(signature, json, depth, value);
    case 's':
        return text_from_json(signature, TRP_STR, json, value);
    case 'b':
        return text_from_json(signature, TRP_BYTES, json, value);
    case 'i':
        *value = trp_i64(json_integer_value(json));
        return json_is_integer(json);
    case 'd':
        *value = trp_f64(json_number_value(json));
        return json_is_number(json);
    case '?':
        *value = trp_bool(json_is_true(json) || json_integer_value(json) == 1);
        return json_is_boolean(json) ||
               (json_is_integer(json) && json_integer_value(json) >= 0 && json_integer_value(json) <= 1);
    case '[':
    case '(':
        return list_from_json(signature, picture, json, depth, value);
    case '{':
        return map_from_json(signature, picture, (json_t *)(uintptr_t)json, depth, value);
    default:
        return false; /* tensors, references and actors have no JSON */
    }
}

/* ------------------------------------------------------------------------------------------------------------ parsing */

static void
skip_spaces(struct parsing *parsing)
{
    while (*parsing->at == ' ' || *parsing->at == '\n' || *parsing->at == '\t')
        parsing->at++;
}

static trp_err
parse_name(struct parsing *parsing, struct parameter *parameter)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t size = strspn(parsing->at, letters);
    if (size == 0 || (*parsing->at >= '0' && *parsing->at <= '9') || size >= sizeof parameter->name)
        return TRI_FAIL(parsing->error, TRP_EINVAL, "the name of a parameter is wanted at '%.40s'", parsing->at);
    memcpy(parameter->name, parsing->at, size);
    parameter->name[size] = '\0';
    for (const struct parameter *other = parsing->signature->parameters; other != parameter; other++)
        if (strcmp(other->name, parameter->name) == 0)
            return TRI_FAIL(parsing->error, TRP_EINVAL, "parameter '%s' twice", parameter->name);
    parsing->at += size;
    skip_spaces(parsing);
    if (*parsing->at != ':')
        return TRI_FAIL(parsing->error, TRP_EINVAL, "parameter '%s' is to be followed by ':' and its kind",
                        parameter->name);
    parsing->at++;
    skip_spaces(parsing);
    return TRP_OK;
}

static trp_err
parse_default(struct parsing *parsing, struct parameter *parameter)
{
    json_error_t json_error;
    json_t *json =
        json_loads(parsing->at, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &json_error);
    if (json == NULL)
        return TRI_FAIL(parsing->error, TRP_EINVAL, "the default of parameter '%s' is no JSON: %s", parameter->name,
                        json_error.text);
    parsing->at += json_error.position;
    parameter->has_default = true;
    parameter->value = trp_null();
    bool good = json_is_null(json) || from_json(parsing->signature, parameter->picture, json, 0, &parameter->value);
    json_decref(json);
    if (!good)
        return TRI_FAIL(parsing->error, TRP_EINVAL, "the default of parameter '%s' is not %s as its kind says",
                        parameter->name, tri_letter_words(*parameter->picture));
    return TRP_OK;
}

static trp_err
parse_parameter(struct parsing *parsing)
{
    struct tri_signature *signature = parsing->signature;
    if (signature->count == TRI_PARAMETERS_MAX)
        return TRI_FAIL(parsing->error, TRP_EINVAL, "more than %d parameters", TRI_PARAMETERS_MAX);
    struct parameter *parameter = &signature->parameters[signature->count];
    TRP_TRY(parse_name(parsing, parameter));
    parameter->picture = parsing->at;
    if (!tri_picture_skip(&parsing->at))
        return TRI_FAIL(
            parsing->error, TRP_EINVAL,
            "the kind of parameter '%s' is '%.*s', which is none: i is an int64, d a float64, ? a bool, s a "
            "string, b bytes, t a tensor, r a reference, a an actor, v any value, [x] a list, (xyz) a tuple, "
            "{sx} a map",
            parameter->name, (int)strcspn(parameter->picture, " ,=\n\t"), parameter->picture);
    skip_spaces(parsing);
    if (*parsing->at == '=') {
        parsing->at++;
        skip_spaces(parsing);
        TRP_TRY(parse_default(parsing, parameter));
    } else if (signature->count > 0 && parameter[-1].has_default) {
        return TRI_FAIL(parsing->error, TRP_EINVAL, "parameter '%s' has no default but comes after one that has",
                        parameter->name);
    }
    signature->count++;
    return TRP_OK;
}

static trp_err
parse(struct parsing *parsing)
{
    skip_spaces(parsing);
    while (*parsing->at != '\0') {
        if (strncmp(parsing->at, "...", 3) == 0) {
            parsing->signature->open = true;
            parsing->at += 3;
        } else {
            TRP_TRY(parse_parameter(parsing));
        }
        skip_spaces(parsing);
        if (*parsing->at == '\0')
            return TRP_OK;
        if (*parsing->at != ',' || parsing->signature->open)
            return TRI_FAIL(parsing->error, TRP_EINVAL, "'%.40s' is not wanted there", parsing->at);
        parsing->at++;
        skip_spaces(parsing);
        if (*parsing->at == '\0')
            return TRI_FAIL(parsing->error, TRP_EINVAL, "a parameter is missing behind the last ','");
    }
    return TRP_OK;
}

static void
look_at_letters(struct tri_signature *signature)
{
    signature->plain = !signature->open;
    for (uint32_t i = 0; i < signature->count; i++) {
        const trp_kind kind = tri_letter_kind(*signature->parameters[i].picture);
        signature->plain = signature->plain && (kind < TRP_LIST || kind == TRP_NONE);
        signature->kinds[i] = kind == TRP_NONE ? TRI_ANY_KIND : (uint8_t)kind;
    }
}

/* As many parameters as there may be: none comes without a comma before it but the first. */
static struct tri_signature *
make_empty(const char *description)
{
    size_t room = 1;
    for (const char *at = description; *at != '\0' && room < TRI_PARAMETERS_MAX; at++)
        room += *at == ',';
    return calloc(1, sizeof(struct tri_signature) + room * sizeof(struct parameter));
}

trp_err
tri_signature_parse(const char *description, struct tri_signature **signature, trp_error *error)
{
    struct tri_signature *made = make_empty(description != NULL ? description : "");
    if (made != NULL)
        made->text = strdup(description != NULL ? description : "");
    if (made == NULL || made->text == NULL) {
        free(made);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a description of parameters");
    }
    struct parsing parsing = {made, made->text, error};
    trp_err err = parse(&parsing);
    if (err != TRP_OK) {
        tri_signature_free(&made);
        return err;
    }
    look_at_letters(made);
    *signature = made;
    return TRP_OK;
}

void
tri_signature_free(struct tri_signature **signature)
{
    if (*signature == NULL)
        return;
    for (struct block *block = (*signature)->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free((*signature)->text);
    free(*signature);
    *signature = NULL;
}

/* ------------------------------------------------------------------------------------------------------------ fitting */

struct fitting {
    const struct tri_signature *signature;
    const char *what;
    trp_value positional, keywords;
    size_t positional_count, named_count; /* named: KEYWORD items among the positional, then those of the map */
    size_t own_named;
    trp_value *fitted;
    trp_error *error;
    size_t spare; /* values that the memory has to have room for */
    trp_value *memory;
};

/* Entry i of the keywords, wherever it was given. */
static void
named_at(const struct fitting *fitting, size_t i, trp_value *name, trp_value *value)
{
    if (i < fitting->own_named) {
        const trp_value *pair = trp_at(fitting->positional, fitting->positional_count + i).as.opaque;
        *name = pair[0];
        *value = pair[1];
    } else {
        *name = trp_key_at(fitting->keywords, i - fitting->own_named);
        *value = trp_at(fitting->keywords, i - fitting->own_named);
    }
}

static trp_err
count_given(struct fitting *fitting)
{
    trp_kind kind = fitting->positional.kind, named = fitting->keywords.kind;
    if ((kind != TRP_NULL && kind != TRP_ARGS && kind != TRP_TUPLE && kind != TRP_LIST) ||
        (named != TRP_NULL && named != TRP_MAP))
        return TRI_FAIL(fitting->error, TRP_EINVAL, "%s: arguments are wanted, found %s and %s", fitting->what,
                        tri_kind_words(kind), tri_kind_words(named));
    size_t count = kind == TRP_NULL ? 0 : fitting->positional.size, own = 0;
    while (own < count && kind == TRP_ARGS && trp_at(fitting->positional, count - 1 - own).kind == TRP_KEYWORD)
        own++;
    for (size_t i = 0; i < count - own; i++)
        if (trp_at(fitting->positional, i).kind == TRP_KEYWORD)
            return TRI_FAIL(fitting->error, TRP_EINVAL, "%s: argument %zu has no name but comes after one that has",
                            fitting->what, i + 2);
    for (size_t i = count - own; i < count; i++) {
        const trp_value *pair = trp_at(fitting->positional, i).as.opaque;
        if (pair == NULL || pair[0].kind != TRP_STR || pair[0].as.str == NULL)
            return TRI_FAIL(fitting->error, TRP_EINVAL, "%s: argument %zu is a keyword without a name", fitting->what,
                            i + 1);
    }
    fitting->positional_count = count - own;
    fitting->own_named = own;
    fitting->named_count = own + (named == TRP_MAP ? fitting->keywords.size : 0);
    return TRP_OK;
}

/* "a, b=, ..." for sentences. */
static const char *
list_parameters(const struct tri_signature *signature, char text[256])
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < signature->count && used < 255; i++)
        used += (size_t)snprintf(text + used, 256 - used, "%s%s", i > 0 ? ", " : "", signature->parameters[i].name);
    return signature->count > 0 ? text : "none";
}

static const struct parameter *
find_parameter(const struct tri_signature *signature, trp_value name)
{
    for (uint32_t i = 0; i < signature->count; i++)
        if (strcmp(signature->parameters[i].name, trp_as_str(name)) == 0)
            return &signature->parameters[i];
    return NULL;
}

static trp_err
assign(struct fitting *fitting)
{
    const struct tri_signature *signature = fitting->signature;
    char names[256];
    if (fitting->positional_count > signature->count && !signature->open)
        return TRI_FAIL(fitting->error, TRP_EINVAL, "%s takes at most %u argument%s (%s), found %zu", fitting->what,
                        signature->count, signature->count == 1 ? "" : "s", list_parameters(signature, names),
                        fitting->positional_count);
    for (uint32_t i = 0; i < signature->count; i++) {
        fitting->fitted[i] = trp_null();
        fitting->fitted[i].kind = TRP_NONE;
        if (i < fitting->positional_count) {
            fitting->fitted[i] = trp_at(fitting->positional, i);
            if (fitting->fitted[i].kind == TRP_NONE)
                return TRI_FAIL(fitting->error, TRP_ETYPE, "%s: parameter '%s' wants %s, found nothing", fitting->what,
                                signature->parameters[i].name, tri_letter_words(*signature->parameters[i].picture));
        }
    }
    for (size_t i = 0; i < fitting->named_count; i++) {
        trp_value name, value;
        named_at(fitting, i, &name, &value);
        const struct parameter *parameter = find_parameter(signature, name);
        if (parameter == NULL && signature->open)
            continue;
        if (parameter == NULL)
            return TRI_FAIL(fitting->error, TRP_EINVAL, "%s has no parameter '%.64s'; its parameters are: %s",
                            fitting->what, trp_as_str(name), list_parameters(signature, names));
        trp_value *place = &fitting->fitted[parameter - signature->parameters];
        if (place->kind != TRP_NONE)
            return TRI_FAIL(fitting->error, TRP_EINVAL, "%s: parameter '%s' is given twice", fitting->what,
                            parameter->name);
        *place = value;
    }
    return TRP_OK;
}

/* How many values a converted copy takes below the value itself. */
static size_t
copy_size(const char *picture, trp_value value)
{
    size_t total = 0;
    if (*picture != '[' && *picture != '(' && *picture != '{')
        return 0;
    const char *item = *picture == '{' ? picture + 2 : picture + 1;
    total = value.kind == TRP_MAP ? 2 * value.size : value.size;
    for (size_t i = 0; i < value.size; i++) {
        total += copy_size(item, trp_at(value, i));
        if (*picture == '(')
            tri_picture_skip(&item);
    }
    return total;
}

/* A copy in which each number is of the kind that the picture asks for. */
static trp_value
convert(struct fitting *fitting, const char *picture, trp_value value)
{
    if (*picture != '[' && *picture != '(' && *picture != '{')
        return tri_picture_convert(*picture, value);
    trp_value *items = fitting->memory;
    bool is_map = value.kind == TRP_MAP;
    const char *item = *picture == '{' ? picture + 2 : picture + 1;
    fitting->memory += is_map ? 2 * value.size : value.size;
    for (size_t i = 0; i < value.size; i++) {
        if (is_map)
            items[2 * i] = trp_key_at(value, i);
        items[is_map ? 2 * i + 1 : i] = convert(fitting, item, trp_at(value, i));
        if (*picture == '(')
            tri_picture_skip(&item);
    }
    return trp_value_(value.kind, items, value.size);
}

/* Kinds, and defaults for what was not given. converts[i]: argument i has numbers of another kind in it. */
static trp_err
check_kinds(struct fitting *fitting, bool *converts)
{
    const struct tri_signature *signature = fitting->signature;
    for (uint32_t i = 0; i < signature->count; i++) {
        const struct parameter *parameter = &signature->parameters[i];
        trp_value *value = &fitting->fitted[i];
        struct tri_miss miss;
        converts[i] = false;
        if (value->kind == TRP_NONE && !parameter->has_default)
            return TRI_FAIL(fitting->error, TRP_EINVAL, "%s: parameter '%s' is missing; it wants %s", fitting->what,
                            parameter->name, tri_letter_words(*parameter->picture));
        if (value->kind == TRP_NONE) {
            *value = parameter->value;
            continue;
        }
        if (value->kind == TRP_NULL && parameter->has_default && parameter->value.kind == TRP_NULL)
            continue;
        if (!tri_picture_fits(parameter->picture, *value, &converts[i], &miss))
            return TRI_FAIL(fitting->error, TRP_ETYPE, "%s: parameter '%s'%s%s wants %s, found %s", fitting->what,
                            parameter->name, miss.place[0] != '\0' ? " at " : "", miss.place, miss.expected,
                            miss.found);
        if (converts[i])
            fitting->spare += copy_size(parameter->picture, *value);
    }
    return TRP_OK;
}

/* The two values behind the last parameter: LIST of positional ones, MAP of keywords. */
static void
gather(struct fitting *fitting)
{
    const struct tri_signature *signature = fitting->signature;
    trp_value *items = fitting->memory, *entries;
    size_t count = 0, named = 0;
    for (size_t i = signature->count; i < fitting->positional_count; i++)
        items[count++] = trp_at(fitting->positional, i);
    entries = items + count;
    for (size_t i = 0; i < fitting->named_count; i++) {
        trp_value name, value;
        named_at(fitting, i, &name, &value);
        if (find_parameter(signature, name) != NULL)
            continue;
        entries[2 * named] = name;
        entries[2 * named++ + 1] = value;
    }
    fitting->memory = entries + 2 * named;
    fitting->fitted[signature->count] = trp_list(items, count);
    fitting->fitted[signature->count + 1] = trp_map(entries, named);
}

const uint8_t *
tri_signature_plain(const struct tri_signature *signature, uint32_t *count)
{
    *count = signature->count;
    return signature->plain ? signature->kinds : NULL;
}

trp_err
tri_signature_fit(const struct tri_signature *signature, const char *what, trp_value positional, trp_value keywords,
                  trp_value *fitted, uint32_t *count, void **memory, trp_error *error)
{
    struct fitting fitting = {.signature = signature,
                              .what = what != NULL ? what : "this",
                              .positional = positional,
                              .keywords = keywords,
                              .fitted = fitted,
                              .error = error};
    bool converts[TRI_PARAMETERS_MAX];
    *memory = NULL;
    TRP_TRY(count_given(&fitting));
    TRP_TRY(assign(&fitting));
    TRP_TRY(check_kinds(&fitting, converts));
    if (signature->open)
        fitting.spare += fitting.positional_count + 2 * fitting.named_count;
    if (fitting.spare > 0) {
        fitting.memory = malloc(fitting.spare * sizeof *fitting.memory);
        if (fitting.memory == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "%s: no memory for %zu arguments", fitting.what, fitting.spare);
        *memory = fitting.memory;
    }
    for (uint32_t i = 0; i < signature->count; i++)
        if (converts[i])
            fitted[i] = convert(&fitting, signature->parameters[i].picture, fitted[i]);
    if (signature->open)
        gather(&fitting);
    *count = signature->count + (signature->open ? 2 : 0);
    return TRP_OK;
}
