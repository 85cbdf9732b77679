/*
 * desk.c - an actor that asks others and answers when it has heard from them. Three ways:
 *
 *     ask          what the expert answers is the desk's answer; the desk goes on at once
 *     ask_first    several experts are asked, the first good answer counts; the desk goes on at once
 *     ask_slowly   the desk waits, and so do its other callers (but no slot of the node does)
 */
#include <stdlib.h>

#include <troupe/module.h>

struct desk {
    trp_actor *expert;
};

static trp_err
desk_init(trp_ctx *ctx, void *self)
{
    struct desk *desk = self;
    desk->expert = trp_actor_retain(ctx->args[0].as.actor); /* arguments are borrowed */
    return TRP_OK;
}

static void
desk_fini(void *self)
{
    struct desk *desk = self;
    trp_actor_release(&desk->expert);
}

static trp_err
desk_ask(trp_ctx *ctx, void *self)
{
    struct desk *desk = self;
    trp_ref *answer = NULL;
    TRP_TRY(trp_call(desk->expert, "answer", TRP_ARGS(ctx->args[0]), &answer, ctx->error));
    trp_err err = trp_delegate(ctx, answer);
    trp_ref_release(&answer);
    return err;
}

static trp_err
desk_ask_slowly(trp_ctx *ctx, void *self)
{
    struct desk *desk = self;
    trp_ref *answer = NULL;
    trp_value text;
    TRP_TRY(trp_call(desk->expert, "answer", TRP_ARGS(ctx->args[0]), &answer, ctx->error));
    trp_err err = trp_get(answer, 5000, &text, ctx->error);
    if (err == TRP_OK)
        err = trp_return(ctx, TRP_TUPLE("the expert says", text));
    trp_ref_release(&answer);
    return err;
}

/* One question that is out. Its callbacks run between the desk's methods, as if they were one: no lock. */
struct question {
    trp_reply *reply; /* NULL: answered */
    size_t open;      /* experts that have not answered */
};

static void
on_answer(trp_ref *ref, void *user)
{
    struct question *question = user;
    trp_value text;
    trp_error why;
    trp_err err = trp_get(ref, 0, &text, &why);
    question->open--;
    if (question->reply != NULL && err == TRP_OK)
        trp_reply_value(&question->reply, text);
    else if (question->reply != NULL && question->open == 0)
        trp_reply_fail(&question->reply, err, "nobody knew; the last one said: %s", why.message);
    if (question->open == 0)
        free(question);
}

static trp_err
desk_ask_first(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_value experts = ctx->args[0];
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for a question");
    trp_err err = TRP_OK;
    for (size_t i = 0; i < experts.size && err == TRP_OK; i++) {
        trp_ref *answer = NULL;
        err = trp_call(trp_at(experts, i).as.actor, "answer", TRP_ARGS(ctx->args[1]), &answer, ctx->error);
        if (err == TRP_OK)
            err = trp_on_ready(answer, on_answer, question, ctx->error);
        if (err == TRP_OK)
            question->open++;
        trp_ref_release(&answer); /* held until its callback has run */
    }
    if (question->open > 0)
        return trp_defer(ctx, &question->reply);
    free(question);
    return err != TRP_OK ? err : trp_fail(ctx, TRP_EINVAL, "there are no experts");
}

static const trp_method desk_methods[] = {
    {.name = "ask", .fn = desk_ask, .args = "question:s"},
    {.name = "ask_first", .fn = desk_ask_first, .args = "experts:[a], question:s"},
    {.name = "ask_slowly", .fn = desk_ask_slowly, .args = "question:s"},
    {0},
};

/* Who knows: one answer to everything, or none. */
struct expert {
    char answer[128];
};

static trp_err
expert_init(trp_ctx *ctx, void *self)
{
    struct expert *expert = self;
    if (ctx->args[0].size >= sizeof expert->answer)
        return trp_fail(ctx, TRP_ELIMIT, "an answer has at most %zu bytes", sizeof expert->answer - 1);
    memcpy(expert->answer, ctx->args[0].as.str, ctx->args[0].size + 1);
    return TRP_OK;
}

static trp_err
expert_answer(trp_ctx *ctx, void *self)
{
    const struct expert *expert = self;
    if (expert->answer[0] == '\0')
        return trp_fail(ctx, TRP_ENOENT, "I don't know: %s", ctx->args[0].as.str);
    return trp_return(ctx, trp_str(expert->answer));
}

static const trp_method expert_methods[] = {
    {.name = "answer", .fn = expert_answer, .args = "question:s"},
    {0},
};

static const trp_class desk_classes[] = {
    {
        .name = "Desk",
        .about = "passes questions on",
        .self_size = sizeof(struct desk),
        .init = desk_init,
        .init_args = "expert:a",
        .fini = desk_fini,
        .methods = desk_methods,
    },
    {
        .name = "Expert",
        .about = "has one answer",
        .self_size = sizeof(struct expert),
        .init = expert_init,
        .init_args = "answer:s=\"\"",
        .methods = expert_methods,
    },
    {0},
};

TRP_MODULE(desk, .classes = desk_classes, .version = "1");
