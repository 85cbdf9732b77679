/* test_rows.c - what somebody who knows Ray expects (docs/decisions.md, D10), each on a private node, a node service, in local mode. */
#include "tests/conformance/stage.h"

ROW(ry01_generate_2_of_20_is_22)
{
    const struct {
        int n;
        const char *length;
    } rows[] = {{20, "22"}, {0, "0"}, {1, "2"}, {2, "4"}, {3, "5"}, {5, "7"}, {10, "12"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        stage_expect(stage_task(rt, "conformance:generate_2", TRP_ARGS(rows[i].n)), rows[i].length);
}

ROW(ry02_a_reference_at_top_level_is_replaced_by_its_value)
{
    trp_ref *x = stage_put(rt, TRP_LIST(0, 1, 2, 3, 4));
    stage_expect(stage_task(rt, "conformance:echo", TRP_ARGS(x)), "[0, 1, 2, 3, 4]");
    stage_expect(stage_task(rt, "conformance:echo", TRP_ARGS(TRP_KW("x", x))), "[0, 1, 2, 3, 4]");
    stage_expect(stage_task(rt, "conformance:echo", TRP_ARGS(TRP_LIST(0, 1, 2, 3, 4))), "[0, 1, 2, 3, 4]");
    trp_ref_release(&x);
}

/* Calls echo with `args`, and checks that what `pick` finds in the result is a reference equal to x that can be got. */
static void
expect_reference(trp_runtime *rt, trp_value args, trp_ref *x, trp_value (*pick)(trp_value))
{
    trp_value whole, value;
    trp_error error;
    trp_ref *ref = stage_task(rt, "conformance:echo", args);
    cr_assert_eq(trp_get(ref, 20000, &whole, &error), TRP_OK, "%s", error.message);
    trp_value inner = pick(whole);
    cr_assert_eq(inner.kind, TRP_REF);
    cr_expect(trp_equal(inner, trp_ref_value(x)));
    cr_expect_str_eq(trp_ref_id(inner.as.ref), trp_ref_id(x));
    cr_assert_eq(trp_get(inner.as.ref, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_expect(trp_equal(value, TRP_LIST(0, 1, 2, 3, 4)));
    trp_ref_release(&ref);
}

static trp_value
pick_obj(trp_value whole)
{
    cr_assert_eq(whole.kind, TRP_MAP);
    return trp_field(whole, "obj");
}

static trp_value
pick_first(trp_value whole)
{
    cr_assert_eq(whole.kind, TRP_LIST);
    cr_assert_eq(whole.size, 1);
    return trp_at(whole, 0);
}

ROW(ry03_a_reference_in_a_map_stays_a_reference)
{
    trp_ref *x = stage_put(rt, TRP_LIST(0, 1, 2, 3, 4));
    expect_reference(rt, TRP_ARGS(TRP_MAP("obj", x)), x, pick_obj);
    trp_ref_release(&x);
}

ROW(ry04_a_reference_in_a_list_stays_a_reference)
{
    trp_ref *x = stage_put(rt, TRP_LIST(0, 1, 2, 3, 4));
    expect_reference(rt, TRP_ARGS(TRP_LIST(x)), x, pick_first);
    trp_ref_release(&x);
}

ROW(ry12_counters_count_apart_and_in_order)
{
    trp_actor *counters[10];
    trp_ref *refs[10];
    trp_value values[10];
    trp_error error;
    trp_actor *one = stage_spawn(rt, "counter:Counter", TRP_NOARGS, NULL);
    stage_says(one, "increment", TRP_NOARGS, "1");
    trp_actor_release(&one);
    for (int i = 0; i < 10; i++)
        counters[i] = stage_spawn(rt, "counter:Counter", TRP_NOARGS, NULL);
    for (int i = 0; i < 10; i++)
        refs[i] = stage_call(counters[i], "increment", TRP_NOARGS);
    cr_assert_eq(trp_get_all(refs, 10, 20000, values, &error), TRP_OK, "%s", error.message);
    for (int i = 0; i < 10; i++) {
        cr_expect_eq(trp_as_i64(values[i]), 1);
        trp_ref_release(&refs[i]);
    }
    for (int i = 0; i < 5; i++)
        refs[i] = stage_call(counters[0], "increment", TRP_NOARGS);
    cr_assert_eq(trp_get_all(refs, 5, 20000, values, &error), TRP_OK, "%s", error.message);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(trp_as_i64(values[i]), i + 2);
        trp_ref_release(&refs[i]);
    }
    for (int i = 0; i < 10; i++)
        trp_actor_release(&counters[i]);
}

ROW(ry13_calls_of_one_caller_run_in_the_order_made)
{
    trp_ref *refs[100];
    trp_value value;
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    for (int i = 0; i < 100; i++)
        refs[i] = stage_call(log, "append", TRP_ARGS(i));
    for (int i = 0; i < 100; i++)
        trp_ref_release(&refs[i]);
    trp_ref *read = stage_call(log, "read", TRP_NOARGS);
    cr_assert_eq(trp_get(read, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(value.size, 100);
    for (int i = 0; i < 100; i++)
        cr_expect_eq(trp_as_i64(trp_at(value, (size_t)i)), i);
    trp_ref_release(&read);
    trp_actor_release(&log);
}

ROW(ry15_ranking_is_ascending_and_takes_the_minimal_score)
{
    trp_actor *ranking = stage_spawn(rt, "ranking:Ranking", TRP_NOARGS, NULL);
    stage_says(ranking, "add", TRP_ARGS("Alice", 90), "{\"Alice\": 90.0}");
    stage_says(ranking, "add", TRP_ARGS("Bob", 60), "{\"Bob\": 60.0, \"Alice\": 90.0}");
    trp_ref *top = stage_call(ranking, "top", TRP_ARGS(3));
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(top, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_expect(trp_equal(value, TRP_LIST(TRP_TUPLE("Bob", 60.0), TRP_TUPLE("Alice", 90.0))));
    trp_ref_release(&top);
    trp_actor_release(&ranking);
}

ROW(ry17_pop_of_an_empty_board_fails_and_the_actor_lives)
{
    trp_error error;
    trp_actor *ranking = stage_spawn(rt, "ranking:Ranking", TRP_NOARGS, NULL);
    trp_ref *added = stage_call(ranking, "add", TRP_ARGS("Alice", 90));
    trp_ref_release(&added);
    added = stage_call(ranking, "add", TRP_ARGS("Bob", 60));
    trp_ref_release(&added);
    stage_says(ranking, "pop", TRP_NOARGS, "{\"Bob\": 60.0}");
    stage_says(ranking, "pop", TRP_NOARGS, "{}");
    stage_expect_error(stage_call(ranking, "pop", TRP_NOARGS), TRP_ETASK, &error);
    cr_expect(strstr(error.message, "The board is empty.") != NULL, "%s", error.message);
    cr_expect_eq(error.ran, TRP_RAN);
    stage_says(ranking, "top", TRP_ARGS(1), "[]");
    trp_actor_release(&ranking);
}

ROW(ry19_a_name_leads_to_the_same_actor)
{
    trp_actor *found = NULL;
    trp_error error;
    trp_actor *chemistry = stage_spawn(rt, "ranking:Ranking", TRP_NOARGS, "Chemistry");
    cr_assert_eq(trp_lookup(rt, "Chemistry", &found, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(trp_actor_id(found), trp_actor_id(chemistry));
    trp_actor_release(&found);
    cr_assert_eq(trp_lookup(rt, "default/Chemistry", &found, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(trp_actor_id(found), trp_actor_id(chemistry));
    trp_actor_release(&found);
    trp_actor_release(&chemistry);
}

ROW(ry20_an_unknown_name_is_refused_with_the_sentence)
{
    trp_actor *found = NULL;
    trp_error error;
    const char *start = "Failed to look up actor with name 'nope'";
    cr_assert_eq(trp_lookup(rt, "nope", &found, &error), TRP_ENOENT);
    cr_expect(strncmp(error.message, start, strlen(start)) == 0, "%s", error.message);
    cr_expect_null(found);
}

ROW(ry21_a_name_is_held_by_one_actor_of_its_namespace)
{
    trp_actor *other = NULL;
    trp_error error;
    trp_actor *first = stage_spawn(rt, "counter:Counter", TRP_NOARGS, "Chemistry");
    stage_says(first, "increment", TRP_ARGS(5), "5");
    cr_assert_eq(
        trp_spawn(rt, "counter:Counter", TRP_NOARGS, &(trp_actor_options){.name = "Chemistry"}, &other, &error),
        TRP_EEXIST);
    cr_expect(strstr(error.message, "is already taken") != NULL, "%s", error.message);
    cr_expect_null(other);
    cr_assert_eq(
        trp_spawn(rt, "counter:Counter", TRP_NOARGS, &(trp_actor_options){.name = "lab/Chemistry"}, &other, &error),
        TRP_OK, "%s", error.message);
    cr_expect_str_neq(trp_actor_id(other), trp_actor_id(first));
    stage_says(other, "increment", TRP_NOARGS, "1");
    trp_actor_release(&other);
    cr_assert_eq(trp_spawn(rt, "counter:Counter", TRP_ARGS(1, 2, 3),
                           &(trp_actor_options){.name = "Chemistry", .get_if_exists = true}, &other, &error),
                 TRP_OK, "%s", error.message);
    cr_expect_str_eq(trp_actor_id(other), trp_actor_id(first));
    stage_says(other, "increment", TRP_NOARGS, "6");
    trp_actor_release(&other);
    trp_actor_release(&first);
}

ROW(ry28_wait_returns_one_of_four_ready_ones_by_default)
{
    trp_ref *refs[4];
    size_t ready[4], count = 99;
    trp_error error;
    for (int i = 0; i < 4; i++) {
        refs[i] = stage_task(rt, "conformance:add", TRP_ARGS(i));
        cr_assert_eq(trp_get(refs[i], 20000, NULL, &error), TRP_OK, "%s", error.message);
    }
    cr_assert_eq(trp_wait(refs, 4, 1, 20000, ready, &count, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(count, 1);
    cr_expect_eq(ready[0], 0);
    cr_assert_eq(trp_wait(refs, 4, 4, 20000, ready, &count, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(count, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(ready[i], i);
        trp_ref_release(&refs[i]);
    }
}

ROW(ry30_wait_refuses_what_makes_no_sense)
{
    trp_ref *refs[2] = {stage_put(rt, trp_i64(1)), stage_put(rt, trp_i64(2))};
    trp_ref *twice[2] = {refs[0], refs[0]};
    size_t ready[3], count = 99;
    trp_error error;
    cr_expect_eq(trp_wait(twice, 2, 1, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(refs, 2, 0, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(trp_wait(refs, 2, 3, 0, ready, &count, &error), TRP_EINVAL);
    cr_expect_eq(count, 99, "outputs are written on success only");
    cr_expect_eq(trp_wait(NULL, 0, 1, 0, ready, &count, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(count, 0);
    trp_ref_release(&refs[0]);
    trp_ref_release(&refs[1]);
}

ROW(ry33_a_call_that_depends_on_a_failure_is_not_run_and_carries_the_cause)
{
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *failed = stage_task(rt, "conformance:fail", TRP_ARGS(7, "seven"));
    stage_expect_error(stage_call(log, "append", TRP_ARGS(failed)), TRP_ETASK, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect(strstr(error.message, "seven") != NULL, "%s", error.message);
    stage_says(log, "read", TRP_NOARGS, "[]");
    trp_ref_release(&failed);
    trp_actor_release(&log);
}
