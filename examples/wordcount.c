/*
 * wordcount.c - counts words: a task that counts those of a piece of text, an actor that adds up, a task that makes one list
 * of several tallies. A word is a run of the letters A to Z; case does not count. So it agrees with
 *
 *     tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | sort | uniq -c
 */
#include <stdlib.h>

#include <troupe/module.h>

/* ------------------------------------------------------------------------------------------- a table of words and counts */

struct word {
    char *text; /* NULL: the slot is free */
    size_t size;
    int64_t count;
};

struct words {
    struct word *slots;
    size_t capacity; /* a power of 2, or 0 */
    size_t used;
};

static void
words_free(struct words *words)
{
    for (size_t i = 0; i < words->capacity; i++)
        free(words->slots[i].text);
    free(words->slots);
}

/* The slot that has this word, or is free for it. */
static struct word *
words_slot(const struct words *words, const char *text, size_t size)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    for (size_t at = hash & (words->capacity - 1);; at = (at + 1) & (words->capacity - 1)) {
        struct word *slot = &words->slots[at];
        if (slot->text == NULL || (slot->size == size && memcmp(slot->text, text, size) == 0))
            return slot;
    }
}

static bool
words_grow(struct words *words)
{
    struct words larger = {.capacity = words->capacity > 0 ? 2 * words->capacity : 1024, .used = words->used};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < words->capacity; i++)
        if (words->slots[i].text != NULL)
            *words_slot(&larger, words->slots[i].text, words->slots[i].size) = words->slots[i];
    free(words->slots);
    *words = larger;
    return true;
}

/* false: no memory */
static bool
words_add(struct words *words, const char *text, size_t size, int64_t count)
{
    if (4 * (words->used + 1) > 3 * words->capacity && !words_grow(words))
        return false;
    struct word *slot = words_slot(words, text, size);
    if (slot->text == NULL) {
        slot->text = malloc(size + 1);
        if (slot->text == NULL)
            return false;
        memcpy(slot->text, text, size);
        slot->text[size] = '\0';
        slot->size = size;
        words->used++;
    }
    if (__builtin_add_overflow(slot->count, count, &slot->count))
        slot->count = count > 0 ? INT64_MAX : INT64_MIN; /* callers may say any number */
    return true;
}

/* Adds a MAP {word: count}. */
static bool
words_add_map(struct words *words, trp_value map)
{
    for (size_t i = 0; i < map.size; i++) {
        trp_value word = trp_key_at(map, i);
        if (!words_add(words, word.as.str, word.size, trp_as_i64(trp_at(map, i))))
            return false;
    }
    return true;
}

static trp_err
return_words(trp_ctx *ctx, const struct words *words)
{
    size_t count = 0;
    trp_value *entries = trp_alloc(ctx, 2 * words->used * sizeof *entries);
    if (entries == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu words", words->used);
    for (size_t i = 0; i < words->capacity; i++) {
        const struct word *word = &words->slots[i];
        if (word->text == NULL)
            continue;
        entries[2 * count] = trp_str(word->text);
        entries[2 * count + 1] = trp_i64(word->count);
        count++;
    }
    return trp_return(ctx, trp_map(entries, count));
}

/* ------------------------------------------------------------------------------------------------------------ task count */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `text` is ours to make small. */
static bool
count_text(struct words *words, char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t begin = at;
        while (at < size && is_letter(text[at])) {
            text[at] |= 0x20;
            at++;
        }
        if (at > begin && !words_add(words, text + begin, at - begin, 1))
            return false;
        while (at < size && !is_letter(text[at]))
            at++;
    }
    return true;
}

static trp_err
task_count(trp_ctx *ctx)
{
    struct words words = {0};
    size_t size = ctx->args[0].size;
    char *text = trp_alloc(ctx, size); /* arguments are read-only */
    if (text == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    memcpy(text, ctx->args[0].as.bytes, size);
    trp_err err = count_text(&words, text, size) ? return_words(ctx, &words)
                                                 : trp_fail(ctx, TRP_ENOMEM, "no memory for the words");
    words_free(&words);
    return err;
}

/* -------------------------------------------------------------------------------------------------------------- task top */

static int
compare_words(const void *a, const void *b)
{
    const struct word *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return left->text == NULL || right->text == NULL ? 0 : strcmp(left->text, right->text);
}

/* Free slots have count 0, so they come last. */
static trp_err
return_top(trp_ctx *ctx, struct words *words, int64_t wanted)
{
    int64_t total = 0;
    size_t count = wanted >= 0 && (uint64_t)wanted < words->used ? (size_t)wanted : words->used;
    trp_value *rows = trp_alloc(ctx, count * sizeof *rows);
    trp_value *cells = trp_alloc(ctx, 2 * count * sizeof *cells);
    if (rows == NULL || cells == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu rows", count);
    if (words->capacity > 0)
        qsort(words->slots, words->capacity, sizeof *words->slots, compare_words);
    for (size_t i = 0; i < words->capacity; i++)
        total += words->slots[i].count;
    for (size_t i = 0; i < count; i++) {
        cells[2 * i] = trp_str(words->slots[i].text);
        cells[2 * i + 1] = trp_i64(words->slots[i].count);
        rows[i] = trp_tuple(&cells[2 * i], 2);
    }
    return trp_return(ctx, TRP_MAP("total", total, "distinct", words->used, "top", trp_list(rows, count)));
}

/* args: n (negative: all), then a LIST of the MAPs that came as further arguments */
static trp_err
task_top(trp_ctx *ctx)
{
    struct words words = {0};
    trp_value maps = ctx->args[1];
    trp_err err = TRP_OK;
    for (size_t i = 0; i < maps.size && err == TRP_OK; i++) {
        err = trp_check(trp_at(maps, i), "{si}", ctx->error);
        if (err == TRP_OK && !words_add_map(&words, trp_at(maps, i)))
            err = trp_fail(ctx, TRP_ENOMEM, "no memory for the words");
    }
    if (err == TRP_OK)
        err = return_top(ctx, &words, ctx->args[0].as.i64);
    words_free(&words);
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- class Tally */

struct tally {
    struct words words;
    int64_t added;
};

static void
tally_fini(void *self)
{
    struct tally *tally = self;
    words_free(&tally->words);
}

static trp_err
tally_add(trp_ctx *ctx, void *self)
{
    struct tally *tally = self;
    if (!words_add_map(&tally->words, ctx->args[0]))
        return trp_fail(ctx, TRP_ENOMEM, "no memory for the words");
    return trp_return(ctx, trp_i64(++tally->added));
}

static trp_err
tally_counts(trp_ctx *ctx, void *self)
{
    const struct tally *tally = self;
    return return_words(ctx, &tally->words);
}

static const trp_method tally_methods[] = {
    {.name = "add",
     .fn = tally_add,
     .args = "counts:{si}",
     .about = "adds the counts of a piece; how many pieces that makes"},
    {.name = "counts", .fn = tally_counts, .about = "what was added up, {word: count}"},
    {0},
};

static const trp_class classes[] = {
    {
        .name = "Tally",
        .about = "adds up counts of words",
        .self_size = sizeof(struct tally),
        .fini = tally_fini,
        .methods = tally_methods,
    },
    {0},
};

static const trp_function tasks[] = {
    {.name = "count", .fn = task_count, .args = "text:b", .about = "the words of a text, {word: count}"},
    {.name = "top",
     .fn = task_top,
     .args = "n:i, ...",
     .about = "several {word: count} as one list, the most frequent first"},
    {0},
};

TRP_MODULE(wordcount, .classes = classes, .tasks = tasks, .version = "1", .about = "counts words");
