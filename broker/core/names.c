/*
 * names.c - the directory: which actor has a name. Names are keyed by "namespace/name"; a namespace has no '/' in it.
 *
 * A look-up in a large directory costs what it misses in the caches. So a bucket is one line of 64 bytes, with all that
 * most look-ups need: the hash, the text where it is short, the actor and its id. There are two buckets for each name, so
 * that four names in five lie in the bucket itself; the others are chained. Buckets are split one after the other, as in
 * transport/base/table.c. Who looks up several at once goes through them in steps, each of which only begins to fetch what
 * the next one reads: set, fetch, near, find.
 */
#include "broker/core/state.h"

#include <string.h>

enum { FIRST = 64, FIRST_LOG = 6 };

trp_err
tri_name_check(const char *text, const char *namespace_, trp_error *error)
{
    if (strlen(text) > TRI_NAME_MAX || strlen(namespace_) > TRI_NAME_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "a name of more than %d bytes", TRI_NAME_MAX);
    if (text[0] != '\0' && (namespace_[0] == '\0' || strchr(namespace_, '/') != NULL))
        return TRI_FAIL(error, TRP_EPROTO, "the namespace '%.100s' is empty or has a '/'", namespace_);
    return TRP_OK;
}

/* The seed is mixed in, so that nobody can choose names that fall together. */
static uint32_t
hash_of(const struct tri_names *names, const char *text, size_t size)
{
    const struct tri_id id = tri_id_of_text(text, size);
    const unsigned __int128 product =
        (unsigned __int128)(id.number ^ names->seed) * (id.space | UINT64_C(0x8000000000000001));
    return (uint32_t)(product ^ product >> 64);
}

static void
key_set(const struct tri_names *names, struct tri_key *key, const char *namespace_, const char *name)
{
    const size_t first = strnlen(namespace_, TRI_NAME_MAX), second = strnlen(name, TRI_NAME_MAX);
    key->name = key->text + first + 1;
    memcpy(key->text, namespace_, first);
    key->text[first] = '/';
    memcpy(key->text + first + 1, name, second);
    key->size = first + 1 + second;
    key->text[key->size] = '\0';
    key->hash = hash_of(names, key->text, key->size);
}

/* ------------------------------------------------------------------------------------------------------------ buckets */

/* Segment s begins at bucket (2^s - 1) * FIRST. */
static unsigned
segment_of(size_t bucket)
{
    return 63u - (unsigned)__builtin_clzll(bucket + FIRST) - FIRST_LOG;
}

static struct tri_name_slot *
bucket_at(const struct tri_names *names, size_t bucket)
{
    const unsigned segment = segment_of(bucket);
    return &names->segments[segment][bucket + FIRST - ((size_t)FIRST << segment)];
}

static struct tri_name_slot *
bucket_of(const struct tri_names *names, uint32_t hash)
{
    size_t bucket = hash & (names->level_size - 1);
    if (bucket < names->split)
        bucket = hash & (2 * names->level_size - 1);
    return bucket_at(names, bucket);
}

static bool
segment_reserve(struct tri_names *names, unsigned segment)
{
    const size_t size = ((size_t)FIRST << segment) * sizeof(struct tri_name_slot);
    if (segment >= TRI_NAME_SEGMENTS)
        return false;
    if (names->segments[segment] != NULL)
        return true;
    char *raw = tri_zeroed_new(size + TRI_LINE);
    if (raw == NULL)
        return false;
    names->raw[segment] = raw;
    raw += TRI_LINE - (uintptr_t)raw % TRI_LINE;
    names->segments[segment] = (struct tri_name_slot *)(void *)raw;
    return true;
}

trp_err
tri_names_init(struct tri_names *names, uint64_t seed)
{
    *names = (struct tri_names){.buckets = FIRST, .level_size = FIRST, .seed = seed};
    tri_pool_init(&names->chained, sizeof(struct tri_name_slot));
    tri_pool_init(&names->long_ones, TRI_NAME_LONG);
    return segment_reserve(names, 0) ? TRP_OK : TRP_ENOMEM;
}

void
tri_names_fini(struct tri_names *names)
{
    for (unsigned s = 0; s < TRI_NAME_SEGMENTS; s++)
        free(names->raw[s]);
    tri_pool_fini(&names->chained);
    tri_pool_fini(&names->long_ones);
    *names = (struct tri_names){0};
}

/* Into its bucket, which has room for one; else into a chained slot, `spare` if there is one. */
static void
place(struct tri_names *names, const struct tri_name_slot *content, struct tri_name_slot *spare)
{
    struct tri_name_slot *bucket = bucket_of(names, content->hash);
    struct tri_name_slot *slot = bucket, *next = bucket->next;
    if (bucket->actor != NULL) {
        slot = spare != NULL ? spare : tri_pool_take(&names->chained);
        bucket->next = slot;
        spare = NULL;
    }
    if (spare != NULL)
        tri_pool_put(&names->chained, spare);
    *slot = *content;
    slot->next = next;
}

/* The next bucket in turn: some of what it has goes to a new one. Needs no more chained slots than it frees. */
static void
split(struct tri_names *names)
{
    struct tri_name_slot *from = bucket_at(names, names->split);
    struct tri_name_slot first = *from, *next = first.next;
    *from = (struct tri_name_slot){0};
    names->buckets++;
    if (++names->split == names->level_size) {
        names->split = 0;
        names->level_size *= 2;
    }
    if (first.actor == NULL)
        return;
    place(names, &first, NULL);
    for (struct tri_name_slot *slot = next; slot != NULL; slot = next) {
        struct tri_name_slot content = *slot;
        next = content.next;
        place(names, &content, slot);
    }
}

/* ------------------------------------------------------------------------------------------------------------ the door */

/* A long text lies apart; its beginning and where it lies take its place. */
static bool
slot_is(const struct tri_name_slot *slot, const struct tri_key *key)
{
    const size_t inside = sizeof slot->as.text;
    if (slot->actor == NULL || slot->hash != key->hash || slot->size != key->size)
        return false;
    return memcmp(key->size <= inside ? slot->as.text : slot->as.apart->text, key->text, key->size) == 0;
}

static const struct tri_name_slot *
find(const struct tri_names *names, const struct tri_key *key)
{
    const struct tri_name_slot *slot = bucket_of(names, key->hash);
    while (slot != NULL && !slot_is(slot, key))
        slot = slot->next;
    return slot;
}

void
tri_key_set(const struct tri_core *core, struct tri_key *key, const char *namespace_, const char *name)
{
    key_set(&core->names, key, namespace_, name);
}

void
tri_key_fetch(const struct tri_core *core, const struct tri_key *key)
{
    __builtin_prefetch(bucket_of(&core->names, key->hash));
}

void
tri_key_near(const struct tri_core *core, const struct tri_key *key)
{
    const struct tri_name_slot *slot = bucket_of(&core->names, key->hash);
    __builtin_prefetch(slot->hash == key->hash ? (const void *)slot->actor : slot->next);
    if (key->size <= sizeof slot->as.text)
        return;
    __builtin_prefetch(slot->as.apart);
    if (offsetof(struct tri_name, text) + key->size > TRI_LINE)
        __builtin_prefetch((const char *)slot->as.apart + TRI_LINE);
}

struct tri_actor *
tri_key_find(const struct tri_core *core, const struct tri_key *key, struct tri_id *id)
{
    const struct tri_name_slot *slot = find(&core->names, key);
    if (slot == NULL)
        return NULL;
    *id = slot->id;
    return slot->actor;
}

struct tri_actor *
tri_name_find(const struct tri_core *core, const char *namespace_, const char *name, struct tri_id *id)
{
    struct tri_key key;
    tri_key_set(core, &key, namespace_, name);
    return tri_key_find(core, &key, id);
}

/* Where a look-up reads it, it lies among others in large pages. */
static bool
is_pooled(size_t text_size)
{
    return text_size > sizeof((struct tri_name_slot *)NULL)->as.text &&
           offsetof(struct tri_name, text) + text_size + 1 <= TRI_NAME_LONG;
}

static struct tri_name *
name_new(struct tri_names *names, size_t text_size)
{
    if (!is_pooled(text_size))
        return malloc(sizeof(struct tri_name) + text_size + 1);
    return tri_pool_reserve(&names->long_ones, 1) ? tri_pool_take_raw(&names->long_ones) : NULL;
}

void
tri_name_drop(struct tri_names *names, struct tri_name *name)
{
    if (is_pooled(strlen(name->text)))
        tri_pool_put(&names->long_ones, name);
    else
        free(name);
}

trp_err
tri_name_bind(struct tri_core *core, struct tri_actor *actor, const char *namespace_, const char *text,
              trp_error *error)
{
    struct tri_names *names = &core->names;
    struct tri_key key;
    key_set(names, &key, namespace_, text);
    if (find(names, &key) != NULL)
        return TRI_FAIL(error, TRP_EEXIST, "the name %s is taken", key.text);
    struct tri_name *name = NULL;
    if (segment_reserve(names, segment_of(names->buckets + 1)) && tri_pool_reserve(&names->chained, 1))
        name = name_new(names, key.size);
    if (name == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for the name %s", key.text);
    name->actor = actor;
    name->hash = key.hash;
    memcpy(name->text, key.text, key.size + 1);
    actor->name = name;
    struct tri_name_slot slot = {.actor = actor, .hash = key.hash, .size = (uint16_t)key.size};
    slot.id = actor->thing.entry.id;
    if (key.size <= sizeof slot.as.text)
        memcpy(slot.as.text, key.text, key.size);
    else
        slot.as.apart = name;
    for (int i = 0; i < 2 && names->count * 2 >= names->buckets; i++)
        split(names);
    place(names, &slot, NULL);
    names->count++;
    return TRP_OK;
}

void
tri_name_free(struct tri_core *core, struct tri_actor *actor)
{
    struct tri_names *names = &core->names;
    if (actor->name == NULL)
        return;
    struct tri_name_slot *slot = bucket_of(names, actor->name->hash), *before = NULL;
    for (; slot->actor != actor; slot = slot->next) {
        TRI_ASSERT(slot->next != NULL);
        before = slot;
    }
    struct tri_name_slot *next = slot->next;
    if (before != NULL) {
        before->next = next;
        tri_pool_put(&names->chained, slot);
    } else if (next != NULL) { /* the next one takes its place */
        *slot = *next;
        tri_pool_put(&names->chained, next);
    } else {
        *slot = (struct tri_name_slot){0};
    }
    names->count--;
    tri_name_drop(names, actor->name);
    actor->name = NULL;
}

/* ---------------------------------------------------------------------------------------------------------- epitaphs */

void
tri_epitaph_add(struct tri_core *core, const struct tri_actor *actor)
{
    const struct tri_obituary *obituary = actor->obituary;
    struct tri_epitaph *epitaph = &core->epitaphs[core->next_epitaph];
    struct tri_failure chain[8];
    uint32_t count = 0;
    if (actor->name == NULL || obituary == NULL)
        return;
    core->next_epitaph = (core->next_epitaph + 1) % TRI_EPITAPHS;
    free(epitaph->name);
    free(epitaph->why);
    epitaph->name = strdup(actor->name->text);
    if (obituary->cause != NULL && tri_error_unpack(&obituary->cause->sections[0], chain, &count, NULL) == TRP_OK &&
        count > 0)
        epitaph->why = strdup(chain[0].error.message);
    else
        epitaph->why = strdup(obituary->error.message);
}

const char *
tri_epitaph_find(const struct tri_core *core, const struct tri_key *key)
{
    for (size_t i = 1; i <= TRI_EPITAPHS; i++) {
        const struct tri_epitaph *epitaph = &core->epitaphs[(core->next_epitaph + TRI_EPITAPHS - i) % TRI_EPITAPHS];
        if (epitaph->name != NULL && strcmp(epitaph->name, key->text) == 0)
            return epitaph->why;
    }
    return NULL;
}

void
tri_epitaphs_fini(struct tri_core *core)
{
    for (size_t i = 0; i < TRI_EPITAPHS; i++) {
        free(core->epitaphs[i].name);
        free(core->epitaphs[i].why);
    }
}
