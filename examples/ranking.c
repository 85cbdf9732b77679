/*
 * ranking.c - a board of names and scores: a constructor with a default, structured results, a method that fails and leaves
 * the actor as it was.
 */
#include <stdlib.h>
#include <string.h>

#include <troupe/module.h>

struct entry {
    char *name;
    double score;
};

struct ranking {
    double minimal_score;
    struct entry *board; /* ascending by score, equal ones in the order in which they came */
    size_t count;
};

static trp_err
ranking_init(trp_ctx *ctx, void *self)
{
    struct ranking *ranking = self;
    ranking->minimal_score = ctx->args[0].as.f64;
    return TRP_OK;
}

static void
ranking_fini(void *self)
{
    struct ranking *ranking = self;
    for (size_t i = 0; i < ranking->count; i++)
        free(ranking->board[i].name);
    free(ranking->board);
}

/* {name: score, ...} */
static trp_err
return_board(trp_ctx *ctx, const struct ranking *ranking)
{
    trp_value *entries = trp_alloc(ctx, 2 * ranking->count * sizeof *entries);
    if (entries == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu entries", ranking->count);
    for (size_t i = 0; i < ranking->count; i++) {
        entries[2 * i] = trp_str(ranking->board[i].name);
        entries[2 * i + 1] = trp_f64(ranking->board[i].score);
    }
    return trp_return(ctx, trp_map(entries, ranking->count));
}

/* The entry of this name, taken out; or a new one at the end. NULL: no memory. */
static struct entry *
last_entry(struct ranking *ranking, const char *name)
{
    struct entry entry = {NULL, -1.0 / 0.0}, *board;
    size_t at = 0;
    while (at < ranking->count && strcmp(ranking->board[at].name, name) != 0)
        at++;
    if (at < ranking->count) {
        entry = ranking->board[at];
        memmove(&ranking->board[at], &ranking->board[at + 1], (ranking->count - at - 1) * sizeof entry);
    } else {
        board = realloc(ranking->board, (ranking->count + 1) * sizeof *board);
        if (board == NULL)
            return NULL;
        ranking->board = board;
        entry.name = strdup(name);
        if (entry.name == NULL)
            return NULL;
        ranking->count++;
    }
    ranking->board[ranking->count - 1] = entry;
    return &ranking->board[ranking->count - 1];
}

/* Lower scores than the minimal one are not taken; of two of one name the higher counts. */
static trp_err
ranking_add(trp_ctx *ctx, void *self)
{
    struct ranking *ranking = self;
    const char *name = ctx->args[0].as.str;
    double score = ctx->args[1].as.f64;
    if (score < ranking->minimal_score)
        return TRP_OK;
    struct entry *last = last_entry(ranking, name);
    if (last == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for '%s'", name);
    if (score > last->score)
        last->score = score;
    for (struct entry *at = last; at > ranking->board && at[-1].score > at->score; at--) {
        struct entry lower = *at;
        *at = at[-1];
        at[-1] = lower;
    }
    return return_board(ctx, ranking);
}

/* [(name, score), ...]: the first n of the board */
static trp_err
ranking_top(trp_ctx *ctx, void *self)
{
    const struct ranking *ranking = self;
    size_t wanted = ctx->args[0].as.i64 > 0 ? (size_t)ctx->args[0].as.i64 : 0;
    size_t count = wanted < ranking->count ? wanted : ranking->count;
    trp_value *rows = trp_alloc(ctx, count * sizeof *rows);
    trp_value *cells = trp_alloc(ctx, 2 * count * sizeof *cells);
    if (rows == NULL || cells == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu rows", count);
    for (size_t i = 0; i < count; i++) {
        cells[2 * i] = trp_str(ranking->board[i].name);
        cells[2 * i + 1] = trp_f64(ranking->board[i].score);
        rows[i] = trp_tuple(&cells[2 * i], 2);
    }
    return trp_return(ctx, trp_list(rows, count));
}

/* Takes the best one off, and gives what is left. */
static trp_err
ranking_pop(trp_ctx *ctx, void *self)
{
    struct ranking *ranking = self;
    if (ranking->count == 0)
        return trp_fail(ctx, TRP_ENOENT, "The board is empty.");
    free(ranking->board[--ranking->count].name);
    return return_board(ctx, ranking);
}

static const trp_method ranking_methods[] = {
    {.name = "add", .fn = ranking_add, .args = "name:s, score:d"},
    {.name = "top", .fn = ranking_top, .args = "n:i=1"},
    {.name = "pop", .fn = ranking_pop},
    {0},
};

static const trp_class ranking_classes[] = {
    {
        .name = "Ranking",
        .about = "a board of scores",
        .self_size = sizeof(struct ranking),
        .init = ranking_init,
        .init_args = "minimal_score:d=60.0",
        .fini = ranking_fini,
        .methods = ranking_methods,
    },
    {0},
};

TRP_MODULE(ranking, .classes = ranking_classes, .version = "1");
