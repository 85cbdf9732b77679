/*
 * sort.c - sorts text by lines, more of it than fits into memory: a task that cuts a piece into ranges and sorts each, and one that
 * merges the same range of many pieces. Lines are compared byte by byte, as by LC_ALL=C sort.
 */
#include <stdlib.h>

#include <troupe/module.h>

struct line {
    const char *text;
    size_t size; /* without its newline */
};

static int
compare(struct line a, struct line b)
{
    const size_t shorter = a.size < b.size ? a.size : b.size;
    const int order = shorter > 0 ? memcmp(a.text, b.text, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int
compare_lines(const void *a, const void *b)
{
    return compare(*(const struct line *)a, *(const struct line *)b);
}

/* The line at `text`; one without a newline ends with the text. */
static struct line
line_at(const char *text, const char *end)
{
    const char *newline = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
    return (struct line){text, (size_t)((newline != NULL ? newline : end) - text)};
}

static char *
write_line(char *to, struct line line)
{
    if (line.size > 0)
        memcpy(to, line.text, line.size);
    to[line.size] = '\n';
    return to + line.size + 1;
}

/* -------------------------------------------------------------------------------------------------------------- task cut */

static size_t
count_lines(const char *text, const char *end)
{
    size_t count = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        text = newline != NULL ? newline + 1 : end;
        count++;
    }
    return count;
}

/* The lines below the border come first: how many there are, and their bytes. */
static size_t
below(const struct line *lines, size_t count, trp_value border, size_t *bytes)
{
    const struct line limit = {border.as.bytes, border.size};
    size_t n = 0;
    *bytes = 0;
    while (n < count && (border.kind == TRP_NONE || compare(lines[n], limit) < 0))
        *bytes += lines[n++].size + 1;
    return n;
}

/* An object of these lines, made where it lies. */
static trp_err
put_lines(trp_ctx *ctx, const struct line *lines, size_t count, size_t bytes, trp_ref **ref)
{
    TRP_TRY(trp_put_begin(ctx->runtime, trp_bytes(NULL, bytes), ref, ctx->error));
    char *to = trp_put_room(*ref);
    for (size_t i = 0; i < count; i++)
        to = write_line(to, lines[i]);
    return trp_put_end(*ref, ctx->error);
}

static trp_err
cut(trp_ctx *ctx, const struct line *lines, size_t count)
{
    const trp_value borders = ctx->args[1];
    trp_value *parts = trp_alloc(ctx, (borders.size + 1) * sizeof *parts);
    trp_ref **refs = trp_alloc(ctx, (borders.size + 1) * sizeof *refs);
    trp_err err = TRP_OK;
    if (parts == NULL || refs == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu ranges", borders.size + 1);
    for (size_t i = 0; i <= borders.size && err == TRP_OK; i++) {
        size_t bytes;
        const size_t n = below(lines, count, trp_at(borders, i), &bytes);
        err = put_lines(ctx, lines, n, bytes, &refs[i]);
        parts[i] = trp_ref_value(refs[i]);
        lines += n;
        count -= n;
    }
    if (err == TRP_OK)
        err = trp_return(ctx, trp_list(parts, borders.size + 1));
    for (size_t i = 0; i <= borders.size; i++)
        trp_ref_release(&refs[i]);
    return err;
}

/* args: text, and the ascending borders between the ranges */
static trp_err
task_cut(trp_ctx *ctx)
{
    const char *text = ctx->args[0].as.bytes, *end = text + ctx->args[0].size;
    const size_t count = count_lines(text, end);
    struct line *lines = malloc((count + 1) * sizeof *lines);
    if (lines == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu lines", count);
    for (size_t i = 0; i < count; i++) {
        lines[i] = line_at(text, end);
        text += lines[i].size + 1;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    const trp_err err = cut(ctx, lines, count);
    free(lines);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------ task merge */

struct source {
    struct line line;
    const char *end;
};

/* The heap's first is the smallest; `at` may be larger than what is below it. */
static void
sink(struct source *heap, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(heap[child + 1].line, heap[child].line) < 0)
            child++;
        if (compare(heap[at].line, heap[child].line) <= 0)
            return;
        const struct source moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

static void
merge(struct source *heap, size_t count, char *to)
{
    for (size_t i = count / 2; i-- > 0;)
        sink(heap, count, i);
    while (count > 0) {
        const char *next = heap->line.text + heap->line.size + 1;
        to = write_line(to, heap->line);
        if (next < heap->end)
            heap->line = line_at(next, heap->end);
        else
            *heap = heap[--count];
        sink(heap, count, 0);
    }
}

/* args: a LIST of sorted texts. The result is written in place. */
static trp_err
task_merge(trp_ctx *ctx)
{
    const trp_value parts = ctx->args[0];
    struct source *heap = trp_alloc(ctx, (parts.size + 1) * sizeof *heap);
    size_t count = 0;
    int64_t total = 0;
    if (heap == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu texts", parts.size);
    TRP_TRY(trp_check(parts, "[b]", ctx->error));
    for (size_t i = 0; i < parts.size; i++) {
        const trp_value part = trp_at(parts, i);
        const char *text = part.as.bytes, *end = text + part.size;
        total += (int64_t)part.size;
        if (part.size > 0)
            heap[count++] = (struct source){line_at(text, end), end};
    }
    DLTensor merged = trp_dense(NULL, TRP_UINT8, 1, &total);
    TRP_TRY(trp_return_begin(ctx, trp_tensor(&merged)));
    merge(heap, count, merged.data);
    return TRP_OK;
}

static const trp_function tasks[] = {
    {.name = "cut",
     .fn = task_cut,
     .args = "text:b, borders:[b]",
     .about = "sorts the lines of a text: an object for each range between the borders"},
    {.name = "merge", .fn = task_merge, .args = "...", .about = "several sorted texts as one"},
    {0},
};

TRP_MODULE(sort, .tasks = tasks, .version = "1", .about = "sorts text by lines");
