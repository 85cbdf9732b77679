/*
 * checks.c - names, times and options as users may give them, and the sentences for all others. Pure; any thread. It must not
 * know what becomes of them.
 */
#include "actors/checks.h"

#include <string.h>

/* ------------------------------------------------------------------------------------------------------------- names */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

bool
tri_module_name_ok(const char *name, size_t size)
{
    if (size == 0 || size > TRI_MODULE_NAME_MAX || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9'))
            return false;
    return true;
}

bool
tri_row_name_ok(const char *name, size_t size)
{
    if (size == 0 || size > TRI_NAME_MAX || tri_text_valid(name, size) < size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (is_control(name[i]) || name[i] == ' ' || name[i] == ':')
            return false;
    return true;
}

trp_err
tri_check_text(const char *what, const char *text, trp_error *error)
{
    if (text == NULL || text[0] == '\0')
        return TRI_FAIL(error, TRP_EINVAL, "%s is %s", what, text == NULL ? "NULL" : "empty");
    const size_t size = strlen(text);
    if (size > TRI_NAME_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "%s has %zu bytes; at most %d are allowed", what, size, TRI_NAME_MAX);
    const size_t valid = tri_text_valid(text, size);
    if (valid < size)
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', which is not UTF-8 at byte %zu", what, text, valid);
    for (size_t i = 0; i < size; i++)
        if (is_control(text[i]))
            return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', with the control character 0x%02x at byte %zu", what, text,
                            (unsigned char)text[i], i);
    return TRP_OK;
}

trp_err
tri_check_path(const char *what, const char *text, const char *form, trp_error *error)
{
    TRP_TRY(tri_check_text(what, text, error));
    const char *colon = strchr(text, ':');
    if (colon == NULL || !tri_module_name_ok(text, (size_t)(colon - text)) ||
        !tri_row_name_ok(colon + 1, strlen(colon + 1)))
        return TRI_FAIL(error, TRP_EINVAL,
                        "%s is '%s'; it has to be \"%s\", the module a C identifier of at most %d bytes", what, text,
                        form, (int)TRI_MODULE_NAME_MAX);
    return TRP_OK;
}

trp_err
tri_check_name(const char *what, const char *text, trp_error *error)
{
    TRP_TRY(tri_check_text(what, text, error));
    const char *slash = strchr(text, '/');
    if (slash != NULL && (slash == text || slash[1] == '\0'))
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s'; it has to be \"name\" or \"namespace/name\"", what, text);
    return TRP_OK;
}

trp_err
tri_check_query(const char *what, trp_error *error)
{
    static const char *const lists[] = {"nodes", "actors", "processes", "modules", "objects", "calls", "store"};
    struct tri_id id;

    TRP_TRY(tri_check_text("what", what, error));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(what, lists[i]) == 0)
            return TRP_OK;
    if (strncmp(what, "why ", 4) == 0 && tri_id_parse(what + 4, &id))
        return TRP_OK;
    return TRI_FAIL(
        error, TRP_EINVAL,
        "what is '%s', which cannot be asked for; there is: nodes, actors, processes, modules, objects, calls, and "
        "\"why ID\" with the %d hex digits of a reference's or an actor's id",
        what, TRI_ID_TEXT_SIZE - 1);
}

/* ----------------------------------------------------------------------------------------------------------- options */

trp_err
tri_check_reserved(const char *what, const uint64_t *reserved, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (reserved[i] != 0)
            return TRI_FAIL(error, TRP_EINVAL, "%s.reserved[%zu] is not 0", what, i);
    return TRP_OK;
}

trp_err
tri_check_time(const char *what, int64_t ms, trp_error *error)
{
    if (ms >= 0)
        return TRP_OK;
    return TRI_FAIL(error, TRP_EINVAL, "%s is %lld; it has to be 0 or more milliseconds", what, (long long)ms);
}

trp_err
tri_refuse_timeout(int64_t timeout_ms, trp_error *error)
{
    return TRI_FAIL(error, TRP_EINVAL, "timeout_ms is %lld; it has to be 0 or more milliseconds, or TRP_FOREVER (%lld)",
                    (long long)timeout_ms, (long long)TRP_FOREVER);
}
