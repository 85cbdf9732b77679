/*
 * templates.c - the texts of a new module: an actor that counts, or a task, each with its build and its test. Data alone.
 */
#include "tools/module/templates.h"

#include <stddef.h>

/* clang-format off */

static const char class_module[] =
"/*\n"
" * @name@.c - the module \"@name@\": an actor with a state. `troupe module build` makes @name@.so of it.\n"
" */\n"
"#include <troupe/module.h>\n"
"\n"
"struct @name@ {\n"
"    int64_t value;\n"
"};\n"
"\n"
"static trp_err\n"
"@name@_init(trp_ctx *ctx, void *self)\n"
"{\n"
"    struct @name@ *state = self;\n"
"\n"
"    state->value = ctx->args[0].as.i64;\n"
"    return TRP_OK;\n"
"}\n"
"\n"
"static trp_err\n"
"@name@_add(trp_ctx *ctx, void *self)\n"
"{\n"
"    struct @name@ *state = self;\n"
"    int64_t sum;\n"
"\n"
"    if (__builtin_add_overflow(state->value, ctx->args[0].as.i64, &sum))\n"
"        return trp_fail(ctx, TRP_ELIMIT, \"The sum is beyond 64 bits.\");\n"
"    state->value = sum;\n"
"    return trp_return(ctx, trp_i64(sum));\n"
"}\n"
"\n"
"static trp_err\n"
"@name@_get(trp_ctx *ctx, void *self)\n"
"{\n"
"    const struct @name@ *state = self;\n"
"\n"
"    return trp_return(ctx, trp_i64(state->value));\n"
"}\n"
"\n"
"static const trp_method methods[] = {\n"
"    {.name = \"add\", .fn = @name@_add, .args = \"amount:i=1\", .about = \"adds, and gives the sum\"},\n"
"    {.name = \"get\", .fn = @name@_get, .about = \"the sum\"},\n"
"    {0},\n"
"};\n"
"\n"
"static const trp_class classes[] = {\n"
"    {.name = \"@Name@\",\n"
"     .about = \"a sum that grows\",\n"
"     .self_size = sizeof(struct @name@),\n"
"     .init = @name@_init,\n"
"     .init_args = \"start:i=0\",\n"
"     .methods = methods},\n"
"    {0},\n"
"};\n"
"\n"
"TRP_MODULE(@name@, .classes = classes, .version = \"0.1\", .about = \"what it is for, in one line\");\n";

/* What both tests begin with. */
#define TEST_SET_UP \
"#include \"@name@.c\"\n" \
"\n" \
"#include <criterion/criterion.h>\n" \
"#include <troupe/testing.h>\n" \
"\n" \
"static trp_runtime *rt;\n" \
"static trp_error error;\n" \
"\n" \
"static void\n" \
"start(void)\n" \
"{\n" \
"    const trp_module *modules[] = {&troupe_module_@name@, NULL};\n" \
"\n" \
"    TRP_TEST_RETURNS(trp_test_init(modules, &rt, &error), TRP_OK, &error);\n" \
"}\n" \
"\n" \
"static void\n" \
"stop(void)\n" \
"{\n" \
"    trp_shutdown(&rt);\n" \
"}\n" \
"\n" \
"TestSuite(@name@, .init = start, .fini = stop);\n"

static const char class_test[] =
"/*\n"
" * test_@name@.c - tests of @name@.c, which is included: its functions are called directly, and as an actor's methods.\n"
" */\n"
TEST_SET_UP
"\n"
"Test(@name@, adds_to_its_state)\n"
"{\n"
"    struct @name@ state = {.value = 3};\n"
"    trp_ctx *ctx = NULL;\n"
"\n"
"    TRP_TEST_RETURNS(trp_test_ctx(rt, \"amount:i=1\", TRP_ARGS(4), &ctx, &error), TRP_OK, &error);\n"
"    TRP_TEST_RETURNS(@name@_add(ctx, &state), TRP_OK, ctx->error);\n"
"    TRP_TEST_EQUAL(trp_test_result(ctx), 7);\n"
"    trp_test_ctx_free(&ctx);\n"
"}\n"
"\n"
"Test(@name@, is_an_actor)\n"
"{\n"
"    trp_actor *actor = NULL;\n"
"    trp_value sum;\n"
"\n"
"    TRP_TEST_RETURNS(trp_spawn(rt, \"@name@:@Name@\", TRP_ARGS(10), NULL, &actor, &error), TRP_OK, &error);\n"
"    TRP_TEST_RETURNS(trp_test_call(actor, \"add\", TRP_NOARGS, &sum, &error), TRP_OK, &error);\n"
"    TRP_TEST_EQUAL(sum, 11);\n"
"    TRP_TEST_RETURNS(trp_test_call(actor, \"add\", TRP_ARGS(INT64_MAX), NULL, &error), TRP_ETASK, &error);\n"
"    cr_expect_eq(error.cause, TRP_ELIMIT);\n"
"    TRP_TEST_RETURNS(trp_test_call(actor, \"add\", TRP_ARGS(\"one\"), NULL, &error), TRP_ETYPE, &error);\n"
"    trp_actor_release(&actor);\n"
"}\n";

static const char task_module[] =
"/*\n"
" * @name@.c - the module \"@name@\": tasks, which have no state. `troupe module build` makes @name@.so of it.\n"
" */\n"
"#include <troupe/module.h>\n"
"\n"
"static trp_err\n"
"@name@_square(trp_ctx *ctx)\n"
"{\n"
"    const int64_t number = ctx->args[0].as.i64;\n"
"    int64_t square;\n"
"\n"
"    if (__builtin_mul_overflow(number, number, &square))\n"
"        return trp_fail(ctx, TRP_ELIMIT, \"The square is beyond 64 bits.\");\n"
"    return trp_return(ctx, trp_i64(square));\n"
"}\n"
"\n"
"static const trp_function tasks[] = {\n"
"    {.name = \"square\", .fn = @name@_square, .args = \"number:i\", .about = \"a number times itself\"},\n"
"    {0},\n"
"};\n"
"\n"
"TRP_MODULE(@name@, .tasks = tasks, .version = \"0.1\", .about = \"what it is for, in one line\");\n";

static const char task_test[] =
"/*\n"
" * test_@name@.c - tests of @name@.c, which is included: its functions are called directly, and as tasks.\n"
" */\n"
TEST_SET_UP
"\n"
"Test(@name@, squares)\n"
"{\n"
"    trp_ctx *ctx = NULL;\n"
"\n"
"    TRP_TEST_RETURNS(trp_test_ctx(rt, \"number:i\", TRP_ARGS(-4), &ctx, &error), TRP_OK, &error);\n"
"    TRP_TEST_RETURNS(@name@_square(ctx), TRP_OK, ctx->error);\n"
"    TRP_TEST_EQUAL(trp_test_result(ctx), 16);\n"
"    trp_test_ctx_free(&ctx);\n"
"}\n"
"\n"
"Test(@name@, is_a_task)\n"
"{\n"
"    trp_ref *ref = NULL;\n"
"    trp_value square;\n"
"\n"
"    TRP_TEST_RETURNS(trp_task(rt, \"@name@:square\", TRP_ARGS(5), &ref, &error), TRP_OK, &error);\n"
"    TRP_TEST_RETURNS(trp_get(ref, 1000, &square, &error), TRP_OK, &error);\n"
"    TRP_TEST_EQUAL(square, 25);\n"
"    trp_ref_release(&ref);\n"
"}\n";

static const char build[] =
"project('@name@', 'c', version: '0.1', default_options: ['c_std=gnu11', 'warning_level=2', 'buildtype=debugoptimized'])\n"
"\n"
"troupe = dependency('troupe')\n"
"\n"
"# A module links nothing: whoever loads it has libtroupe.\n"
"shared_module(\n"
"  '@name@',\n"
"  '@name@.c',\n"
"  name_prefix: '',\n"
"  dependencies: troupe.partial_dependency(compile_args: true, includes: true),\n"
"  gnu_symbol_visibility: 'hidden',\n"
"  install: true,\n"
"  install_dir: troupe.get_variable('moduledir'),\n"
")\n"
"\n"
"criterion = dependency('criterion', required: false)\n"
"if criterion.found()\n"
"  test('@name@', executable('test_@name@', 'test_@name@.c', dependencies: [troupe, criterion]))\n"
"endif\n";

/* clang-format on */

const struct tri_template tri_class_files[] = {
    {"", true, ".c", class_module}, {"test_", true, ".c", class_test}, {"", false, "meson.build", build}, {0}};
const struct tri_template tri_task_files[] = {
    {"", true, ".c", task_module}, {"test_", true, ".c", task_test}, {"", false, "meson.build", build}, {0}};
