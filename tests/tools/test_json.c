/* test_json.c - JSON in and out of the command: what is written is read again as the same value, and no bytes do harm. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/cli.h"
#include "tools/cli/signature.h"

static const struct tri_verb *const no_verbs[] = {NULL};
static struct tri_cli cli;

static void
begin(void)
{
    (void)setenv("TROUPE_DIR", "/nonexistent", 1); /* handles are looked for where no node is */
    tri_cli_init(&cli, no_verbs);
    cli.err = fopen("/dev/null", "w");
    cr_assert_not_null(cli.err);
}

static void
end(void)
{
    (void)fclose(cli.err);
}

TestSuite(json, .init = begin, .fini = end);

static char *
write_value(trp_value value, size_t *size)
{
    char *text = NULL;
    FILE *memory = open_memstream(&text, size);

    cr_assert_not_null(memory);
    tri_json_write(memory, value, true);
    cr_assert_eq(fclose(memory), 0);
    return text;
}

/* Written and read again it has to be the same. */
static void
expect_same(trp_value value, const char *from)
{
    struct tri_values values = {NULL, false};
    trp_value again = trp_null();
    size_t size = 0;
    char *text = write_value(value, &size);

    cr_expect_eq(tri_json_read(&cli, &values, "it", text, size, &again), 0, "%s: %s", from, text);
    cr_expect(trp_equal(value, again), "%s: %s", from, text);
    tri_values_fini(&values);
    free(text);
}

static uint64_t
draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static const char *const seeds[] = {
    "[1, -2.5, 1e300, true, false, null, \"text\", \"\\u00e9\\n\\\"\"]",
    "{\"a\": {\"b\": [{}, [], \"\"]}, \"c\": -9223372036854775808}",
    "[\"bytes:3:00ff7f\", \"f64:NaN\", \"f64:-Infinity\", \"str:ref:x\", \"str:str:\"]",
    "{\"dtype\": \"float32\", \"shape\": [2, 2], \"data\": [1, 2.5, -3, 4]}",
    "{\"dtype\": \"uint64\", \"shape\": [3], \"data\": [0, 1, 9223372036854775807]}",
    "{\"dtype\": \"bfloat16\", \"shape\": [2], \"data\": \"bytes:4:00112233\"}",
    "{\"dtype\": \"bool\", \"shape\": [], \"data\": [true]}",
    "[\"ref:a\", \"actor:b\", {\"x\": \"actor:0123456789abcdef0123456789abcdef\"}]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
    "]]]]]]]",
};
enum { SEEDS = sizeof seeds / sizeof *seeds, TEXT_MAX = 512 };

/* A few bytes of it are others, gone, doubled, or cut off. */
static size_t
mutate(uint64_t *state, const char *seed, char text[TEXT_MAX])
{
    static const char likely[] = "[]{}\",:.-+eE0123456789\\ubytes\n\x80\xff\xc3";
    size_t size = strlen(seed);

    memcpy(text, seed, size);
    for (uint64_t i = draw(state, 4); i > 0 && size > 1; i--) {
        const size_t at = draw(state, size);
        switch (draw(state, 4)) {
        case 0:
            text[at] = likely[draw(state, sizeof likely - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, --size - at);
            break;
        case 2:
            size = at + 1;
            break;
        default:
            if (size < TEXT_MAX - 1)
                memmove(text + at + 1, text + at, size++ - at);
        }
    }
    text[size] = '\0';
    return size;
}

Test(json, what_is_read_is_written_and_read_again_as_the_same)
{
    for (size_t i = 0; i < SEEDS; i++) {
        struct tri_values values = {NULL, false};
        trp_value value;
        const int exit_code = tri_json_read(&cli, &values, "it", seeds[i], strlen(seeds[i]), &value);
        if (strstr(seeds[i], "actor:") == NULL) {
            cr_expect_eq(exit_code, 0, "%s", seeds[i]);
            expect_same(value, seeds[i]);
        } else {
            cr_expect_eq(exit_code, TRI_EXIT_NODE);
        }
        tri_values_fini(&values);
    }
}

Test(json, no_bytes_do_harm)
{
    uint64_t state = 1;
    int read = 0, refused = 0;

    for (int i = 0; i < 20000; i++) {
        struct tri_values values = {NULL, false};
        char text[TEXT_MAX];
        trp_value value;
        const size_t size = mutate(&state, seeds[draw(&state, SEEDS)], text);
        const int exit_code = draw(&state, 2) == 0 && text[0] != '@' && text[0] != '-' && strlen(text) == size
                                  ? tri_value_of(&cli, &values, text, &value)
                                  : tri_json_read(&cli, &values, "it", text, size, &value);
        cr_expect(exit_code == 0 || exit_code == TRI_EXIT_USAGE || exit_code == TRI_EXIT_NODE, "%d: %s", exit_code,
                  text);
        if (exit_code == 0 && tri_utf8_end(text, size) == size)
            expect_same(value, text);
        read += exit_code == 0;
        refused += exit_code != 0;
        tri_values_fini(&values);
    }
    cr_expect_gt(read, 2000);
    cr_expect_gt(refused, 2000);
}

Test(signatures, are_written_as_a_person_reads_them)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"step:i=1", "step: int64 = 1"},
        {"name:s, score:d=60.0", "name: string, score: float64 = 60.0"},
        {"x:t, labels:[i], ...", "x: tensor, labels: list of int64, ..."},
        {"a:(is), b:{sb}, c:?=null", "a: tuple of int64, string, b: map of bytes, c: bool = null"},
        {"a:v={\"x\": [1, 2]}, b:s=\"a, b\\\"\", c:r",
         "a: any = {\"x\": [1, 2]}, b: string = \"a, b\\\"\", c: reference"},
        {"a:[[i]], b:a", "a: list of list of int64, b: actor"},
        {"a:[", "a: list of "},
    };
    char text[128];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(tri_signature_text(rows[i][0], text, sizeof text), strlen(rows[i][1]), "%s: %s", rows[i][0], text);
        cr_expect_str_eq(text, rows[i][1], "%s: %s", rows[i][0], text);
    }
    (void)tri_signature_text(":::=,=(", text, sizeof text); /* ends */
    cr_expect_eq(tri_signature_text("step:i=1", text, 5), strlen("step: int64 = 1"));
    cr_expect_str_eq(text, "step");
}
