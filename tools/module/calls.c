/*
 * calls.c - the conformance run's calls: of one method, task or constructor, with arguments that fit, are odd, or do not fit. One
 * thread. What it wants: whoever is called wrongly is not run, and whoever is called rightly answers and lives.
 */
#include "tools/module/run.h"

#include <string.h>

enum { ITEMS_MOST = TRI_PARAMETERS_MAX + 2, WAIT_MS = 50, SPARE_MS = 5000 };

/* The arguments of one call. */
struct call {
    trp_value items[ITEMS_MOST], pairs[2];
    size_t count;
};

/* The needed ones, plain; or all of them, in an odd turn. false: one of them cannot be made up (*kind says which). */
static bool
fill(struct tri_run *run, const struct tri_parameters *parameters, int turn, struct call *call, const char **missing)
{
    call->count = 0;
    run->samples.used = 0;
    for (size_t i = 0; i < parameters->count; i++) {
        const struct tri_parameter *one = &parameters->list[i];
        trp_value value;
        if (turn == 0 && one->fallback[0] != '\0')
            break; /* those behind it have defaults, too, or are given by name */
        value = tri_sample(&run->samples, one->picture, turn);
        *missing = one->name;
        if (value.kind == TRP_NONE)
            return false;
        call->items[call->count++] = value;
    }
    return true;
}

trp_err
tri_run_wait(trp_ref *ref, int64_t most_ms, trp_error *error)
{
    trp_err err;

    for (int64_t waited_ms = 0;; waited_ms += WAIT_MS) {
        err = trp_get(ref, WAIT_MS, NULL, error);
        if (err != TRP_ETIMEDOUT || trp_ref_location(ref) != TRP_PENDING || waited_ms > most_ms)
            return err;
        if (tri_stopped())
            return TRP_ECANCELLED;
    }
}

static trp_err
make_call(struct tri_run *run, trp_actor *actor, const char *method, const struct call *call, trp_ref **ref,
          trp_error *error)
{
    const trp_request request = {.actor = actor,
                                 .method = method,
                                 .args = call->count > 0 ? trp_args(call->items, call->count) : trp_null(),
                                 .flags = actor == NULL ? TRP_NO_RETRY : 0,
                                 .deadline_ms = run->timeout_ms};
    trp_err err = trp_submit(run->runtime, &request, ref, error);

    return err != TRP_OK ? err : tri_run_wait(*ref, run->timeout_ms + SPARE_MS, error);
}

/* The lines of the backtrace that are the module's own. */
static void
first_frame(const char *backtrace, const char *module, char *frame, size_t size)
{
    char file[TRI_MODULE_NAME_SIZE + 4];
    const char *at, *begin;

    frame[0] = '\0';
    (void)snprintf(file, sizeof file, "%s.so", module);
    at = strstr(backtrace, file);
    if (at == NULL)
        return;
    for (begin = at; begin > backtrace && begin[-1] != '\n';)
        begin--;
    begin += strspn(begin, " ");
    (void)snprintf(frame, size, " In %.*s", (int)strcspn(begin, "\n"), begin);
}

void
tri_run_death(trp_ref *ref, const trp_error *error, char *text, size_t size)
{
    const trp_value death = trp_field(trp_failure(ref), "death");
    const char *backtrace = trp_as_str(trp_field(death, "backtrace"));
    char frame[300];

    first_frame(backtrace, trp_as_str(trp_field(death, "module")), frame, sizeof frame);
    (void)snprintf(text, size, "%.250s%.250s", error->message, frame);
}

/* -------------------------------------------------------------------------------------------------- arguments that do not fit */

/* It has to be refused with this code, and not run. */
static void
expect_refusal(struct tri_run *run, trp_actor *actor, const char *method, const struct call *call, trp_err wanted,
               const char *label, const char *what)
{
    const char *name = trp_strerror(wanted);
    trp_ref *ref = NULL;
    trp_error error;
    char why[600] = "it was run";
    const trp_err err = make_call(run, actor, method, call, &ref, &error);
    const bool good = err == wanted && error.ran == TRP_NOT_RUN;

    if (tri_stopped()) {
        run->died = true;
        trp_ref_release(&ref);
        return;
    }
    if (err == TRP_EACTORDIED)
        tri_run_death(ref, &error, why, sizeof why);
    else if (err != TRP_OK && !good)
        (void)snprintf(why, sizeof why, "wanted %.*s and not run, found: %.500s", (int)strcspn(name, ":"), name,
                       error.message);
    tri_run_note(run, good ? TRI_PASSED : TRI_FAILED, why, "%s refuses %s", label, what);
    run->died = run->died || err == TRP_EACTORDIED;
    trp_ref_release(&ref);
}

/* Calls that do not fit, one after the other, each said by `expect`. */
typedef void expect_fn(struct tri_run *run, void *user, const struct call *call, trp_err wanted, const char *what);

static void
each_misfit(struct tri_run *run, const struct tri_parameters *parameters, expect_fn *expect, void *user)
{
    const char *missing = "";
    struct call call;
    char what[160];

    if (!fill(run, parameters, 0, &call, &missing))
        return;
    if (call.count > 0) {
        call.count--;
        (void)snprintf(what, sizeof what, "a call without '%s'", parameters->list[call.count].name);
        expect(run, user, &call, TRP_EINVAL, what);
        call.count++;
    }
    for (size_t i = 0; i < call.count && !run->died; i++) {
        const trp_value right = call.items[i], wrong = tri_misfit(parameters->list[i].picture);
        if (wrong.kind == TRP_NONE)
            continue;
        call.items[i] = wrong;
        (void)snprintf(what, sizeof what, "'%s' of another kind", parameters->list[i].name);
        expect(run, user, &call, TRP_ETYPE, what);
        call.items[i] = right;
    }
    if (parameters->open || run->died)
        return;
    call.pairs[0] = trp_str("no_such_parameter");
    call.pairs[1] = trp_i64(1);
    call.items[call.count++] = trp_keyword(call.pairs);
    expect(run, user, &call, TRP_EINVAL, "an unknown keyword");
    if (run->died || !fill(run, parameters, 1, &call, &missing))
        return;
    call.items[call.count++] = trp_i64(1);
    expect(run, user, &call, TRP_EINVAL, "an argument too many");
}

struct target {
    trp_actor *actor;
    const char *method, *label;
};

static void
expect_of_call(struct tri_run *run, void *user, const struct call *call, trp_err wanted, const char *what)
{
    const struct target *target = user;

    expect_refusal(run, target->actor, target->method, call, wanted, target->label, what);
}

/* A constructor that takes what does not fit would make an actor; it has to end instead. */
static void
expect_of_init(struct tri_run *run, void *user, const struct call *call, trp_err wanted, const char *what)
{
    trp_actor *actor = NULL;
    trp_ref *ready = NULL;
    trp_error error;
    char why[600] = "the actor was made";
    trp_err err = trp_spawn(run->runtime, run->class_name,
                            call->count > 0 ? trp_args(call->items, call->count) : trp_null(), NULL, &actor, &error);

    if (err == TRP_OK)
        err = trp_watch(actor, TRP_WATCH_READY, &ready, &error);
    if (err == TRP_OK)
        err = tri_run_wait(ready, run->timeout_ms, &error);
    if (err != TRP_OK)
        (void)snprintf(why, sizeof why, "%.500s", error.message);
    run->died = run->died || tri_stopped();
    tri_run_note(run, err == wanted ? TRI_PASSED : TRI_FAILED, why, "%s refuses %s", (const char *)user, what);
    trp_ref_release(&ready);
    trp_actor_release(&actor);
}

void
tri_run_constructions(struct tri_run *run, const char *args, const char *label)
{
    struct tri_parameters parameters;

    tri_parameters_read(args, &parameters);
    each_misfit(run, &parameters, expect_of_init, (void *)label);
}

/* ------------------------------------------------------------------------------------------------------- arguments that fit */

/* It has to answer, with a value or a failure of its own, and live. */
static void
expect_answer(struct tri_run *run, const struct target *target, const struct call *call, const char *what)
{
    trp_ref *ref = NULL;
    trp_error error;
    char why[600] = "";
    enum tri_verdict verdict = TRI_PASSED;
    const trp_err err = make_call(run, target->actor, target->method, call, &ref, &error);

    if (tri_stopped()) {
        run->died = true;
        trp_ref_release(&ref);
        return;
    }
    if (err != TRP_OK)
        (void)snprintf(why, sizeof why, "%.500s", error.message);
    if (err == TRP_EACTORDIED) {
        verdict = TRI_FAILED;
        run->died = true;
        tri_run_death(ref, &error, why, sizeof why);
    } else if (err == TRP_ETIMEDOUT) {
        verdict = TRI_SKIPPED;
        (void)snprintf(why, sizeof why, "no answer within %lld ms; it may wait for something",
                       (long long)run->timeout_ms);
        run->died = true; /* it may still be at it */
    } else if (err != TRP_OK && err != TRP_ETASK && err != TRP_ESTOP && err != TRP_EOBJLOST) {
        verdict = TRI_FAILED;
    }
    tri_run_note(run, verdict, why, "%s answers %s", target->label, what);
    trp_ref_release(&ref);
}

void
tri_run_calls(struct tri_run *run, trp_actor *actor, const char *method, const char *args, const char *label)
{
    static const char *const turns[TRI_TURNS] = {"plain arguments", "empty ones", "odd ones", "huge ones"};
    struct target target = {actor, method, label};
    struct tri_parameters parameters;
    const char *missing = "";
    struct call call;
    char why[200];

    run->died = false;
    tri_parameters_read(args, &parameters);
    each_misfit(run, &parameters, expect_of_call, &target);
    for (int turn = 0; turn < (parameters.count > 0 ? TRI_TURNS : 1) && !run->died; turn++) {
        if (fill(run, &parameters, turn, &call, &missing)) {
            expect_answer(run, &target, &call, turns[turn]);
            continue;
        }
        (void)snprintf(why, sizeof why, "nothing can be made up for '%.63s'", missing);
        tri_run_note(run, TRI_SKIPPED, why, "%s answers", label);
        return;
    }
}
