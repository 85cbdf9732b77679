/*
 * methods.c - which methods of an actor were called: a call that its host has says so by 8 bytes, for `why` and for lists. Each
 * name is kept once, as long as its actor. The name is read without verifying the call, which its host does.
 */
#include "broker/core/state.h"

#include <string.h>

enum { METHODS_MAX = 64 }; /* of one actor; of others nothing is known */

/* Where the next call is looked at first. The string ends with a NUL, and a call behind it: there are 8 bytes. */
static const struct tri_method *
lies(struct tri_method *method, const struct tri_section *section, const char *text)
{
    const uint32_t at = (uint32_t)((const uint8_t *)text - section->data) - 4, size = method->length + 4;
    method->head = 0;
    method->at = at;
    method->end = at + (size > 8 ? size : 8);
    if (method->end <= section->size)
        memcpy(&method->head, section->data + at, sizeof method->head);
    return method;
}

/* The one that was called last comes first. */
const struct tri_method *
tri_method_find(struct tri_actor *actor, const struct tri_section *section)
{
    uint32_t length = 0, count = 0;
    const char *text = tri_call_method_peek(section, &length);
    if (text == NULL || length == 0 || length > TRI_NAME_MAX)
        return NULL;
    for (struct tri_method **at = &actor->methods; *at != NULL; at = &(*at)->next, count++) {
        struct tri_method *method = *at;
        if (method->length != length || memcmp(method->text, text, length) != 0)
            continue;
        *at = method->next;
        method->next = actor->methods;
        actor->methods = method;
        return lies(method, section, text);
    }
    struct tri_method *method = NULL;
    if (count < METHODS_MAX && tri_text_valid(text, length) == length)
        method = malloc(sizeof *method + length + 1);
    if (method == NULL)
        return NULL;
    method->length = length;
    memcpy(method->text, text, length);
    method->text[length] = '\0';
    method->next = actor->methods;
    actor->methods = method;
    return lies(method, section, text);
}

void
tri_methods_free(struct tri_actor *actor)
{
    while (actor->methods != NULL) {
        struct tri_method *method = actor->methods;
        actor->methods = method->next;
        free(method);
    }
}

const char *
tri_method_text(const struct tri_pending *call)
{
    if (call->parcel != NULL && (call->kind == TRI_CALL_TASK || call->kind == TRI_CALL_ACTOR))
        return tri_call_method(&call->parcel->sections[0]);
    return call->actor != NULL && call->method != NULL ? call->method->text : "";
}
