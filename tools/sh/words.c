/*
 * words.c - text into tokens, and words into what they stand for: as text, or as an operand that a verb takes for a value. One
 * thread. It knows no verb.
 *
 * A word may have parts in 'quotes', where everything is itself, and in "quotes", where $x, ${x.key} and the escapes of JSON are
 * not; a word that begins with [, {" or {} is JSON up to its end, blanks included.
 */
#include "tools/sh/sh.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------- tokens */

static bool
wrong(struct tri_sh_error *error, const char *at, bool incomplete, const char *message)
{
    error->at = at;
    error->incomplete = incomplete;
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return false;
}

/* Past the quoted text that begins at `at`; NULL: it does not end. */
static const char *
skip_quotes(const char *at)
{
    const char quote = *at++;

    for (; *at != '\0'; at++) {
        if (*at == quote)
            return at + 1;
        if (*at == '\\' && quote == '"' && at[1] != '\0')
            at++;
    }
    return NULL;
}

/* Past the brackets that open at `at`; NULL: they do not close. */
static const char *
skip_brackets(const char *at)
{
    int depth = 0;

    while (*at != '\0') {
        if (*at == '"') {
            at = skip_quotes(at);
            if (at == NULL)
                return NULL;
            continue;
        }
        if (*at == '[' || *at == '{')
            depth++;
        else if ((*at == ']' || *at == '}') && --depth == 0)
            return at + 1;
        at++;
    }
    return NULL;
}

static const char *
skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r' || (*at == '\\' && at[1] == '\n'))
        at += *at == '\\' ? 2 : 1;
    return at;
}

/* '{' opens a map where a key or its end follows, else a block. */
static bool
is_json(const char *at)
{
    const char *next = at + 1 + strspn(at + 1, " \t\r\n");

    return *at == '[' || (*at == '{' && (*next == '"' || *next == '}'));
}

/* Where the word that begins at `at` ends. */
static const char *
word_end(const char *at, struct tri_sh_error *error)
{
    const char *begin = at, *end;
    bool at_value = true; /* at the beginning of the word, or of a keyword's value */

    while (*at != '\0' && strchr(" \t\r\n;|}", *at) == NULL && !(at[0] == '&' && at[1] == '&')) {
        if (*at == '\'' || *at == '"') {
            end = skip_quotes(at);
            if (end == NULL)
                return wrong(error, at, true, "the quotes are not closed"), NULL;
        } else if (at_value && is_json(at)) {
            end = skip_brackets(at);
            if (end == NULL)
                return wrong(error, at, true, "the brackets are not closed"), NULL;
        } else if (at[0] == '$' && at[1] == '{') {
            end = strchr(at, '}');
            if (end == NULL)
                return wrong(error, at, true, "'${' is not closed"), NULL;
            end++;
        } else if (at[0] == '$' && at[1] == '(') {
            return wrong(error, at, false, "there is no $( ... ); write x = COMMAND, and $x here"), NULL;
        } else if (*at == '{') {
            break;
        } else {
            end = at + (*at == '\\' && at[1] != '\0' ? 2 : 1);
        }
        at_value = *at == '=' && at > begin && tri_sh_is_name(begin, (size_t)(at - begin));
        at = end;
    }
    return at;
}

bool
tri_sh_token(const char **from, struct tri_token *token, struct tri_sh_error *error)
{
    static const struct {
        const char *text;
        enum tri_token_kind kind;
    } signs[] = {{"&&", TRI_TOKEN_AND}, {"||", TRI_TOKEN_OR},   {"|", TRI_TOKEN_PIPE},
                 {";", TRI_TOKEN_LINE}, {"\n", TRI_TOKEN_LINE}, {"}", TRI_TOKEN_CLOSE}};
    const char *at = skip_blanks(*from), *end;

    if (*at == '#')
        at += strcspn(at, "\n");
    *token = (struct tri_token){TRI_TOKEN_END, at, 0};
    *from = at;
    if (*at == '\0')
        return true;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const size_t size = strlen(signs[i].text);
        if (strncmp(at, signs[i].text, size) != 0)
            continue;
        *token = (struct tri_token){signs[i].kind, at, size};
        *from = at + size;
        return true;
    }
    if (*at == '{' && !is_json(at)) {
        *token = (struct tri_token){TRI_TOKEN_OPEN, at, 1};
        *from = at + 1;
        return true;
    }
    if (*at == '&')
        return wrong(error, at, false, "there is no '&'; --async gives a reference, and par { ... } calls at once");
    end = word_end(at, error);
    if (end == NULL)
        return false;
    *token = (struct tri_token){TRI_TOKEN_WORD, at, (size_t)(end - at)};
    *from = end;
    return true;
}

/* --------------------------------------------------------------------------------------------------------- filling in */

/* A text that is being made. */
struct writing {
    struct tri_sh *sh;
    const struct tri_token *word;
    FILE *out;
    int exit_code;
};

/* "$x.key", "${x.key}" at `at`: the path, and where it ends. NULL: it is no variable. */
static const char *
variable_at(const char *at, const char *limit, const char **path, size_t *size)
{
    const char *close;

    if (*at != '$' || at + 1 >= limit)
        return NULL;
    if (at[1] == '{') {
        close = memchr(at, '}', (size_t)(limit - at));
        if (close == NULL)
            return NULL;
        *path = at + 2;
        *size = (size_t)(close - *path);
        return close + 1;
    }
    *path = at + 1;
    *size = tri_sh_path_size(at + 1);
    if (*size > (size_t)(limit - *path))
        *size = (size_t)(limit - *path);
    return *size > 0 ? *path + *size : NULL;
}

bool
tri_sh_is_variable(const struct tri_token *word, const char **path, size_t *size)
{
    return variable_at(word->text, word->text + word->size, path, size) == word->text + word->size;
}

char *
tri_sh_json(trp_value value, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);

    if (out == NULL)
        return NULL;
    if (value.kind == TRP_STR)
        tri_json_write_text(out, value.as.str, value.size);
    else
        tri_json_write(out, value, true);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* The value of a path, as JSON or, where `plain`, as the text that it is. */
static void
fill_in(struct writing *to, const char *at, const char *path, size_t size, bool plain, bool in_quotes)
{
    struct tri_sh_found found;
    size_t json_size = 0;
    char *json;

    if (!tri_sh_find(to->sh, path, size, &found)) {
        to->exit_code = tri_sh_refuse(to->sh, at, (size_t)(path - at) + size, "nothing is called '$%.*s'%s%s%s%s%s",
                                      (int)size, path, found.there[0] != '\0' ? "; " : "", found.there,
                                      found.meant != NULL ? "; did you mean '$" : "",
                                      found.meant != NULL ? found.meant : "", found.meant != NULL ? "'?" : "");
        return;
    }
    if (plain && found.value.kind == TRP_STR) {
        (void)fwrite(found.value.as.str, 1, found.value.size, to->out);
        return;
    }
    if (!in_quotes) {
        tri_json_write(to->out, found.value, true);
        return;
    }
    json = tri_sh_json(found.value, &json_size);
    if (json == NULL)
        to->exit_code = tri_sh_refuse(to->sh, at, size, "out of memory");
    else if (found.value.kind == TRP_STR) /* inside quotes that stand there already */
        (void)fwrite(json + 1, 1, json_size - 2, to->out);
    else
        (void)fwrite(json, 1, json_size, to->out);
    free(json);
}

/* \n \t \" \\ \$; another one is itself. */
static char
escaped(char c)
{
    return (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c);
}

static void
write_text(struct writing *to)
{
    const char *at = to->word->text, *limit = at + to->word->size, *path, *end;
    char quote = 0;
    size_t size;

    while (at < limit && to->exit_code == 0) {
        if (quote == 0 ? *at == '\'' || *at == '"' : *at == quote) {
            quote = quote == 0 ? *at : 0;
            at++;
        } else if (*at == '\\' && quote != '\'' && at + 1 < limit) {
            if (at[1] != '\n') /* the line goes on */
                (void)fputc(quote != 0 ? escaped(at[1]) : at[1], to->out);
            at += 2;
        } else if (quote != '\'' && (end = variable_at(at, limit, &path, &size)) != NULL) {
            fill_in(to, at, path, size, true, false);
            at = end;
        } else {
            (void)fputc(*at++, to->out);
        }
    }
}

/* JSON with variables: as JSON where a value stands, as text inside its strings. */
static void
write_json(struct writing *to)
{
    const char *at = to->word->text, *limit = at + to->word->size, *path, *end;
    bool quoted = false;
    size_t size;

    while (at < limit && to->exit_code == 0) {
        if (*at == '\\' && quoted && at + 1 < limit) {
            if (at[1] != '$')
                (void)fputc(*at, to->out);
            (void)fputc(at[1], to->out);
            at += 2;
            continue;
        }
        quoted = quoted != (*at == '"');
        if ((end = variable_at(at, limit, &path, &size)) != NULL) {
            fill_in(to, at, path, size, false, quoted);
            at = end;
        } else {
            (void)fputc(*at++, to->out);
        }
    }
}

static char *
written(struct tri_sh *sh, const struct tri_token *word, void (*write)(struct writing *to), int *exit_code)
{
    struct writing to = {.sh = sh, .word = word};
    char *text = NULL;
    size_t size = 0;

    to.out = open_memstream(&text, &size);
    if (to.out != NULL) {
        write(&to);
        if (fclose(to.out) != 0 && to.exit_code == 0)
            to.exit_code = tri_sh_refuse(sh, word->text, word->size, "out of memory");
    } else {
        to.exit_code = tri_sh_refuse(sh, word->text, word->size, "out of memory");
    }
    if (to.exit_code == 0 && strlen(text) != size)
        to.exit_code = tri_sh_refuse(sh, word->text, word->size, "a word cannot have a NUL byte in it");
    *exit_code = to.exit_code;
    if (to.exit_code == 0)
        return text;
    free(text);
    return NULL;
}

char *
tri_sh_text(struct tri_sh *sh, const struct tri_token *word, int *exit_code)
{
    return written(sh, word, write_text, exit_code);
}

/* ----------------------------------------------------------------------------------------------------------- operands */

/* A string, whatever it looks like. */
static char *
quoted(struct tri_sh *sh, const struct tri_token *word, int *exit_code)
{
    char *text = tri_sh_text(sh, word, exit_code), *json;
    size_t size = 0;

    if (text == NULL)
        return NULL;
    json = tri_sh_json(trp_str(text), &size);
    free(text);
    if (json == NULL)
        *exit_code = tri_sh_refuse(sh, word->text, word->size, "out of memory");
    return json;
}

/* "name=" and the operand behind it. */
static char *
keyword(struct tri_sh *sh, const struct tri_token *word, size_t name_size, int *exit_code)
{
    const struct tri_token rest = {TRI_TOKEN_WORD, word->text + name_size + 1, word->size - name_size - 1};
    char *value = tri_sh_operand(sh, &rest, exit_code), *text = NULL;

    if (value == NULL)
        return NULL;
    if (asprintf(&text, "%.*s=%s", (int)name_size, word->text, value) < 0) {
        text = NULL;
        *exit_code = tri_sh_refuse(sh, word->text, word->size, "out of memory");
    }
    free(value);
    return text;
}

char *
tri_sh_operand(struct tri_sh *sh, const struct tri_token *word, int *exit_code)
{
    const char *path, *equals = memchr(word->text, '=', word->size);
    struct tri_sh_found ignored;
    size_t size;
    char *text = NULL;

    if (equals != NULL && tri_sh_is_name(word->text, (size_t)(equals - word->text)))
        return keyword(sh, word, (size_t)(equals - word->text), exit_code);
    if (word->size == 0)
        return tri_sh_text(sh, word, exit_code);
    if (tri_sh_is_variable(word, &path, &size)) {
        if (!tri_sh_find(sh, path, size, &ignored))
            return tri_sh_text(sh, word, exit_code); /* says so */
        if (asprintf(&text, "%%%.*s", (int)size, path) >= 0)
            return text;
        *exit_code = tri_sh_refuse(sh, word->text, word->size, "out of memory");
        return NULL;
    }
    if (is_json(word->text))
        return written(sh, word, write_json, exit_code);
    for (size_t i = 0; i < word->size; i++)
        if (strchr("'\"$\\", word->text[i]) != NULL)
            return quoted(sh, word, exit_code);
    return tri_sh_text(sh, word, exit_code);
}
