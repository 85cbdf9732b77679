/*
 * parse.c - tokens into a program: statements, pipes, assignments, for, if, while, par. Pure. It knows the shell's own words
 * and no verb.
 */
#include "tools/sh/sh.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    const char *at;
    struct tri_token token; /* the one that is looked at */
    struct tri_node *nodes;
    struct tri_sh_error *error;
    bool failed;
    int depth;      /* of blocks */
    int links;      /* of not and else if */
    bool condition; /* of if or while: '>' compares there */
};

enum { DEPTH_MAX = 64, LINKS_MAX = 1000 };

static struct tri_node *parse_statement(struct parser *parser);
static struct tri_node *parse_block(struct parser *parser, enum tri_token_kind end);

/* ------------------------------------------------------------------------------------------------------------- helpers */

static void *
fail(struct parser *parser, const char *at, bool incomplete, const char *message)
{
    if (!parser->failed) {
        parser->error->at = at;
        parser->error->incomplete = incomplete;
        (void)snprintf(parser->error->message, sizeof parser->error->message, "%s", message);
    }
    parser->failed = true;
    return NULL;
}

static void
advance(struct parser *parser)
{
    if (!parser->failed && !tri_sh_token(&parser->at, &parser->token, parser->error))
        parser->failed = true;
    if (parser->failed)
        parser->token.kind = TRI_TOKEN_END;
}

static bool
is_word(const struct tri_token *token, const char *text)
{
    return token->kind == TRI_TOKEN_WORD && strlen(text) == token->size && memcmp(token->text, text, token->size) == 0;
}

/* "{}", also with blanks in it: a word, as the JSON that it is elsewhere. */
static bool
is_empty_block(const struct tri_token *token)
{
    return token->kind == TRI_TOKEN_WORD && token->size > 1 && token->text[0] == '{' &&
           1 + strspn(token->text + 1, " \t\r\n") == token->size - 1 && token->text[token->size - 1] == '}';
}

static struct tri_node *
new_node(struct parser *parser, enum tri_node_kind kind)
{
    struct tri_node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return fail(parser, parser->token.text, false, "out of memory");
    node->kind = kind;
    node->allocated = parser->nodes;
    parser->nodes = node;
    return node;
}

/* Appends the word that is looked at, and goes on. */
static void
take_word(struct parser *parser, struct tri_node *node)
{
    struct tri_token *larger = realloc(node->words, (size_t)(node->word_count + 1) * sizeof *larger);

    if (larger == NULL) {
        fail(parser, parser->token.text, false, "out of memory");
        return;
    }
    node->words = larger;
    node->words[node->word_count++] = parser->token;
    advance(parser);
}

/* The token after this one, without going on. */
static struct tri_token
peek(const struct parser *parser)
{
    const char *at = parser->at;
    struct tri_sh_error ignored;
    struct tri_token token = {TRI_TOKEN_END, at, 0};

    (void)tri_sh_token(&at, &token, &ignored);
    return token;
}

static void
skip_lines(struct parser *parser)
{
    while (parser->token.kind == TRI_TOKEN_LINE)
        advance(parser);
}

/* ------------------------------------------------------------------------------------------------------------ commands */

static bool
is_comparison(const struct tri_token *token)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (is_word(token, signs[i]))
            return true;
    return false;
}

/* As other shells write where to: ">file", "2>file", "<file". */
static bool
is_redirection(const struct parser *parser)
{
    const char *text = parser->token.text;

    text += strspn(text, "0123456789");
    return !parser->condition && (*text == '>' || *text == '<');
}

static struct tri_node *
parse_command(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_COMMAND);

    if (node == NULL)
        return NULL;
    while (parser->token.kind == TRI_TOKEN_WORD) {
        if (is_redirection(parser))
            return fail(parser, parser->token.text, false,
                        "there is no redirection here: x = COMMAND keeps a result; a word is quoted");
        if (is_comparison(&parser->token))
            return fail(parser, parser->token.text, false,
                        "values are compared, not commands: write x = COMMAND, and $x here; a word is quoted");
        take_word(parser, node);
    }
    if (!parser->failed && node->word_count == 0)
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END, "a command is missing");
    return parser->failed ? NULL : node;
}

static struct tri_node *
pair_of(struct parser *parser, enum tri_node_kind kind, struct tri_node *first, struct tri_node *second)
{
    struct tri_node *node = new_node(parser, kind);

    if (node == NULL)
        return NULL;
    node->first = first;
    node->second = second;
    return node;
}

/* What stands behind a value, and not at its end. */
static void *
fail_behind_value(struct parser *parser)
{
    const struct tri_token *token = &parser->token;

    if (is_word(token, "="))
        return fail(parser, token->text, false,
                    "values are compared by '==': did you mean that? A variable is set without '$': x = ...");
    if (token->size == 1 && strchr("+-*/%", token->text[0]) != NULL)
        return fail(parser, token->text, false, "there is no arithmetic: what computes is an actor or a task");
    return fail(parser, token->text, false, "one word too many: a value stands alone");
}

/* A word that begins as a value does, and no verb: what `x = ...` and `if ...` take by itself. */
static bool
is_value(const struct tri_token *token)
{
    return token->kind == TRI_TOKEN_WORD && strchr("$\"'[{-0123456789", token->text[0]) != NULL;
}

static struct tri_node *
parse_pipe(struct parser *parser)
{
    struct tri_node *left;
    struct tri_token next = peek(parser);

    if (is_word(&parser->token, "par"))
        return parse_statement(parser);
    if (parser->token.kind == TRI_TOKEN_WORD && is_comparison(&next)) {
        left = new_node(parser, TRI_NODE_COMPARE);
        for (int i = 0; left != NULL && i < 3 && parser->token.kind == TRI_TOKEN_WORD; i++)
            take_word(parser, left);
        if (left != NULL && !parser->failed && left->word_count < 3)
            return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                        "a value to compare with is missing");
        return parser->failed ? NULL : left;
    }
    if (is_value(&parser->token) || is_word(&parser->token, "true") || is_word(&parser->token, "false") ||
        is_word(&parser->token, "null")) {
        left = new_node(parser, TRI_NODE_LITERAL);
        if (left != NULL)
            take_word(parser, left);
        if (parser->token.kind == TRI_TOKEN_WORD)
            return fail_behind_value(parser);
    } else {
        left = parse_command(parser);
    }
    while (left != NULL && parser->token.kind == TRI_TOKEN_PIPE) {
        advance(parser);
        skip_lines(parser);
        left = pair_of(parser, TRI_NODE_PIPE, left, parse_command(parser));
    }
    return parser->failed ? NULL : left;
}

static struct tri_node *
parse_not(struct parser *parser)
{
    struct tri_node *node;

    if (!is_word(&parser->token, "not"))
        return parse_pipe(parser);
    advance(parser);
    if (++parser->links > LINKS_MAX)
        return fail(parser, parser->token.text, false, "more than 1000 of not, and of else if, in a row");
    node = pair_of(parser, TRI_NODE_NOT, parse_not(parser), NULL);
    parser->links--;
    return node;
}

static struct tri_node *
parse_condition(struct parser *parser)
{
    struct tri_node *left = parse_not(parser);

    while (left != NULL && !parser->failed &&
           (parser->token.kind == TRI_TOKEN_AND || parser->token.kind == TRI_TOKEN_OR)) {
        const enum tri_node_kind kind = parser->token.kind == TRI_TOKEN_AND ? TRI_NODE_AND : TRI_NODE_OR;
        advance(parser);
        skip_lines(parser);
        left = pair_of(parser, kind, left, parse_not(parser));
    }
    return parser->failed ? NULL : left;
}

/* `x = ...`, or `x=...`, which is the same. */
static bool
is_assignment(struct parser *parser)
{
    const struct tri_token next = peek(parser);
    const char *equals = memchr(parser->token.text, '=', parser->token.size);

    if (equals != NULL && tri_sh_is_name(parser->token.text, (size_t)(equals - parser->token.text))) {
        parser->at = equals; /* the name, then '=' by itself */
        parser->token.size = (size_t)(equals - parser->token.text);
        return true;
    }
    return tri_sh_is_name(parser->token.text, parser->token.size) && next.kind == TRI_TOKEN_WORD &&
           next.text[0] == '=' && (next.size == 1 || next.text[1] != '=');
}

static struct tri_node *
parse_assignment(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_ASSIGN);

    if (node == NULL)
        return NULL;
    take_word(parser, node);
    parser->at = parser->token.text + 1; /* past '=', whatever follows it */
    if (!parser->failed)
        advance(parser);
    if (!parser->failed && parser->token.kind != TRI_TOKEN_WORD)
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                    "a value or a command is missing after '='");
    node->first = parse_condition(parser);
    return parser->failed ? NULL : node;
}

/* ---------------------------------------------------------------------------------------------------------------- flow */

/* What if and while look at. */
static struct tri_node *
parse_test(struct parser *parser)
{
    struct tri_node *test;

    parser->condition = true;
    test = parse_condition(parser);
    parser->condition = false;
    return test;
}

static struct tri_node *
parse_body(struct parser *parser)
{
    struct tri_node *body;

    skip_lines(parser);
    if (is_empty_block(&parser->token)) {
        advance(parser);
        return new_node(parser, TRI_NODE_BLOCK);
    }
    if (parser->token.kind != TRI_TOKEN_OPEN)
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                    "a block, { ... }, has to stand here");
    if (++parser->depth > DEPTH_MAX)
        return fail(parser, parser->token.text, false, "more than 64 blocks, one in the other");
    advance(parser);
    body = parse_block(parser, TRI_TOKEN_CLOSE);
    parser->depth--;
    if (body != NULL)
        advance(parser); /* the '}' */
    return parser->failed ? NULL : body;
}

static struct tri_node *
parse_if(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_IF);

    if (node == NULL)
        return NULL;
    advance(parser);
    if ((node->first = parse_test(parser)) == NULL || (node->second = parse_body(parser)) == NULL)
        return NULL;
    if (parser->token.kind == TRI_TOKEN_LINE) {
        const struct parser before = *parser;
        skip_lines(parser);
        if (!is_word(&parser->token, "else")) {
            parser->at = before.at;
            parser->token = before.token;
        }
    }
    if (!is_word(&parser->token, "else"))
        return node;
    advance(parser);
    if (++parser->links > LINKS_MAX)
        return fail(parser, parser->token.text, false, "more than 1000 of not, and of else if, in a row");
    node->third = is_word(&parser->token, "if") ? parse_if(parser) : parse_body(parser);
    parser->links--;
    return parser->failed ? NULL : node;
}

static struct tri_node *
parse_for(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_FOR);

    if (node == NULL)
        return NULL;
    advance(parser);
    if (parser->token.kind != TRI_TOKEN_WORD || !tri_sh_is_name(parser->token.text, parser->token.size))
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                    "a name is missing: for NAME in ...");
    take_word(parser, node);
    if (!is_word(&parser->token, "in"))
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                    "'in' is missing: for NAME in ...");
    advance(parser);
    while (parser->token.kind == TRI_TOKEN_WORD &&
           !(is_empty_block(&parser->token) && node->word_count > 1 && peek(parser).kind != TRI_TOKEN_OPEN))
        take_word(parser, node);
    if (!parser->failed && node->word_count < 2)
        return fail(parser, parser->token.text, parser->token.kind == TRI_TOKEN_END,
                    "what to go through is missing: a list, 1..10, or words");
    node->first = parse_body(parser);
    return parser->failed ? NULL : node;
}

static struct tri_node *
parse_while(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_WHILE);

    if (node == NULL)
        return NULL;
    advance(parser);
    if ((node->first = parse_test(parser)) == NULL || (node->second = parse_body(parser)) == NULL)
        return NULL;
    return node;
}

static struct tri_node *
parse_par(struct parser *parser)
{
    struct tri_node *node = new_node(parser, TRI_NODE_PAR);

    if (node == NULL)
        return NULL;
    advance(parser);
    node->first = is_word(&parser->token, "for") ? parse_for(parser) : parse_body(parser);
    return parser->failed ? NULL : node;
}

static struct tri_node *
parse_statement(struct parser *parser)
{
    static const struct {
        const char *word;
        struct tri_node *(*parse)(struct parser *parser);
    } words[] = {{"if", parse_if}, {"for", parse_for}, {"while", parse_while}, {"par", parse_par}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(&parser->token, words[i].word))
            return words[i].parse(parser);
    if (is_word(&parser->token, "else"))
        return fail(parser, parser->token.text, false, "'else' without an 'if' before it");
    if (parser->token.kind == TRI_TOKEN_WORD && is_assignment(parser))
        return parse_assignment(parser);
    return parse_condition(parser);
}

/* Statements up to `end`, which is left to the caller. */
static struct tri_node *
parse_block(struct parser *parser, enum tri_token_kind end)
{
    struct tri_node *block = new_node(parser, TRI_NODE_BLOCK), **last;

    if (block == NULL)
        return NULL;
    last = &block->first;
    for (;;) {
        skip_lines(parser);
        if (parser->failed)
            return NULL;
        if (parser->token.kind == end)
            return block;
        if (parser->token.kind == TRI_TOKEN_END)
            return fail(parser, parser->token.text, true, "a block is not closed: '}' is missing");
        if (parser->token.kind == TRI_TOKEN_CLOSE)
            return fail(parser, parser->token.text, false, "'}' closes nothing");
        *last = parse_statement(parser);
        if (*last == NULL)
            return NULL;
        last = &(*last)->next;
        if (parser->token.kind != TRI_TOKEN_LINE && parser->token.kind != TRI_TOKEN_END && parser->token.kind != end)
            return fail(parser, parser->token.text, false, "a statement ends with its line, or with ';'");
    }
}

/* -------------------------------------------------------------------------------------------------------------- programs */

static void
free_nodes(struct tri_node *node)
{
    while (node != NULL) {
        struct tri_node *next = node->allocated;
        free(node->words);
        free(node);
        node = next;
    }
}

struct tri_node *
tri_sh_parse(const char *text, struct tri_sh_error *error)
{
    struct parser parser = {.at = text, .error = error};
    struct tri_node *program;

    *error = (struct tri_sh_error){.at = text};
    advance(&parser);
    program = parse_block(&parser, TRI_TOKEN_END);
    if (program == NULL || parser.failed) {
        free_nodes(parser.nodes);
        return NULL;
    }
    if (program != parser.nodes) { /* the program is where all nodes hang */
        struct tri_node *before = parser.nodes;
        while (before->allocated != program)
            before = before->allocated;
        before->allocated = program->allocated;
        program->allocated = parser.nodes;
    }
    return program;
}

void
tri_sh_free(struct tri_node **program)
{
    free_nodes(*program);
    *program = NULL;
}
