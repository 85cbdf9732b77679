/* test_module.c - `troupe module`: what it says of files that are modules, damaged ones, and others; the conformance run. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/command.h"

TestSuite(module, .init = command_begin, .fini = command_end, .timeout = 250);

Test(module, inspect_prints_what_a_module_offers)
{
    static const struct command_row rows[] = {
        {"cp $EXAMPLES/counter.so $EXAMPLES/fib.so .", 0, "", ""},
        {"troupe module inspect counter.so", 0,
         "module counter 1 (ABI 1.0, counter.so)\n"
         "the smallest module\n"
         "\n"
         "class Counter()  counts from 0\n"
         "  increment(step:i=1)  adds, and gives the sum\n"
         "  get_counter()        what was counted so far\n",
         ""},
        {"troupe module inspect fib.so", 0,
         "module fib 1 (ABI 1.0, fib.so)\n"
         "\n"
         "tasks\n"
         "  fib(n:i)  the n-th Fibonacci number, by two tasks\n",
         ""},
        {"troupe module inspect ./fib.so --json", 0,
         "{\"name\": \"fib\", \"version\": \"1\", \"about\": \"\", \"abi\": \"1.0\", \"seed\": false, \"classes\": [], "
         "\"tasks\": [{\"name\": \"fib\", \"args\": \"n:i\", \"about\": \"the n-th Fibonacci number, by two tasks\", "
         "\"num_cpus\": *, \"num_gpus\": 0.0, \"memory_bytes\": 0, \"max_retries\": 3}]}\n",
         ""},
        {"troupe module inspect counter.so --json | grep -c '\"self_size\": 8, \"max_concurrency\": 1'", 0, "1\n", ""},
        {"troupe module inspect counter.so -q", 0, "", ""},
    };
    COMMAND_RUN(rows);
}

Test(module, what_cannot_be_a_module_is_refused_with_the_reason)
{
    static const struct command_row rows[] = {
        {"cp $EXAMPLES/counter.so .; : >empty.so; echo text >text.so; mkdir folder.so", 0, "", ""},
        {"troupe module inspect", 2, "", "troupe module inspect: FILE is missing; usage: troupe module inspect FILE\n"},
        {"troupe module inspect a.so b.so", 2, "",
         "troupe module inspect: 'b.so' is one argument too many; usage: troupe module inspect FILE\n"},
        {"troupe module inspect none.so", 1, "", "troupe module inspect: none.so: No such file or directory\n"},
        {"troupe module inspect none.so --json", 1, "",
         "{\"error\": {\"verb\": \"module inspect\", \"exit\": 1, *}}\n"},
        {"troupe module inspect folder.so", 4, "", "troupe module inspect: folder.so is a directory, and no file\n"},
        {"troupe module inspect /dev/null", 2, "",
         "troupe module inspect: 'null' is not the name of a module's file, which is NAME.so with a C identifier of at "
         "most 63 bytes\n"},
        {"mkfifo pipe.so; troupe module inspect pipe.so", 4, "",
         "troupe module inspect: pipe.so is a device or pipe, and no file\n"},
        {"troupe module inspect empty.so", 4, "", "troupe module inspect: empty.so is empty; build it anew\n"},
        {"troupe module inspect text.so", 4, "",
         "troupe module inspect: text.so is not a shared object: it does not begin like one; modules are built with "
         "-shared -fPIC\n"},
        {"cp counter.so my-counter.so; troupe module inspect my-counter.so", 2, "",
         "troupe module inspect: 'my-counter.so' is not the name of a module's file, which is NAME.so with a C "
         "identifier of at most 63 bytes\n"},
        {"cp counter.so other.so; troupe module inspect other.so", 4, "",
         "troupe module inspect: other.so describes the module 'counter': it has to be called counter.so, or its "
         "source "
         "to say TRP_MODULE(other, ...)\n"},
        {"cp $EXAMPLES/../actors/libtroupe.so.0 libtroupe.so; troupe module inspect libtroupe.so", 4, "",
         "troupe module inspect: libtroupe.so is a shared object, but no module: it has no symbol "
         "troupe_module_libtroupe; its source has to end with TRP_MODULE(libtroupe, ...)\n"},
        {"cp counter.so arm.so; printf '\\267' | dd of=arm.so bs=1 seek=18 conv=notrunc status=none; "
         "troupe module inspect arm.so",
         4, "", "troupe module inspect: arm.so is for 64-bit ARM, and this machine is *; build it here\n"},
        {"cp counter.so object.so; printf '\\001' | dd of=object.so bs=1 seek=16 conv=notrunc status=none; "
         "troupe module inspect object.so",
         4, "", "troupe module inspect: object.so is an object file (.o) and no shared object; link it with -shared\n"},
        {"chmod g+w counter.so; troupe module inspect counter.so", 9, "",
         "troupe module inspect: */counter.so can be written by others (mode 0775), so it is not loaded: chmod go-w "
         "*/counter.so\n"},
        {"chmod g-w counter.so; mkdir -m 775 open; cp counter.so open; troupe module inspect open/counter.so", 9, "",
         "troupe module inspect: open/ can be written by others (mode 0775), so it is not loaded: chmod go-w open/\n"},
        {"cp $MODULES/bad_*.so .; troupe module inspect bad_stamp.so", 4, "",
         "troupe module inspect: module 'bad_stamp' was built for another version: *; build */bad_stamp.so anew\n"},
        {"troupe module inspect bad_name.so", 4, "",
         "troupe module inspect: module 'bad_name' calls itself '*'; name file and TRP_MODULE alike\n"},
        {"troupe module inspect bad_rows.so", 4, "", "troupe module inspect: module 'bad_rows' cannot be used: *\n"},
        {"troupe module inspect bad_symbol.so", 4, "",
         "troupe module inspect: module 'bad_symbol' cannot be loaded: *undefined symbol*\n"},
        {"troupe module inspect bad_empty.so", 4, "", "troupe module inspect: *bad_empty.so*\n"},
    };
    COMMAND_RUN(rows);
}

Test(module, a_node_says_the_same_of_what_it_cannot_load)
{
    static const struct command_row rows[] = {
        {"cp $EXAMPLES/counter.so $EXAMPLES/fib.so .; : >empty.so; echo text >text.so; mkdir folder.so; "
         "troupe start -d -q --module-path $PWD; cp counter.so other.so; cp $EXAMPLES/../actors/libtroupe.so.0 lib.so; "
         "head -c 9000 fib.so >damaged.so",
         0, "", ""},
        {"mkdir more; cp fib.so $MODULES/bad_name.so more; cp fib.so more/my-fib.so; cp $EXAMPLES/echo.so more; "
         "chmod g+w more/echo.so; troupe stop -q; troupe start -d -q --module-path $PWD:$PWD/more:$PWD/none; "
         "troupe ls modules",
         0, "", "no modules: one is listed when a process has loaded it; --all has those that could be\n"},
        {"troupe task fib:fib 1; troupe ls modules --all | tr -s ' '", 0,
         "1\nNAME STATE CLASSES TASKS FILE ABOUT\n"
         "counter not loaded Counter */counter.so the smallest module\n"
         "damaged refused */damaged.so */damaged.so is damaged: *\n"
         "empty refused */empty.so */empty.so is empty; build it anew\n"
         "fib loaded fib */fib.so*\n"
         "folder refused */folder.so */folder.so is a directory, and no file\n"
         "lib refused */lib.so */lib.so is a shared object, but no module: *\n"
         "other refused */other.so */other.so describes the module 'counter': *\n"
         "text refused */text.so */text.so is not a shared object: *\n"
         "bad_name refused */more/bad_name.so module 'bad_name' calls itself *\n"
         "echo refused */more/echo.so */more/echo.so can be written by others *\n"
         "fib hidden */more/fib.so */fib.so comes first\n"
         "my-fib refused */more/my-fib.so its name is no C identifier of at most 63 bytes\n"
         "- refused */none No such file or directory\n",
         ""},
        {"troupe ls modules -a --json | grep -o '\"state\": \"loaded\", \"file\": \"[^\"]*\"'", 0,
         "\"state\": \"loaded\", \"file\": \"*/fib.so\"\n", ""},
        {"troupe ls actors --all", 2, "", "troupe ls: --all is for modules; `troupe ls actors` lists all there are\n"},
        {"troupe describe counter", 4, "",
         "troupe describe: no actor is called 'counter', and no host has loaded a module of that name; `troupe module "
         "inspect */counter.so` shows what it would offer\n"},
        {"troupe describe counter:Counter", 4, "",
         "troupe describe: no process has loaded a module 'counter'; `troupe module inspect */counter.so` shows *\n"},
        {"troupe describe countr", 4, "",
         "troupe describe: no actor is called 'countr', and *; did you mean 'counter'?\n"},
        {"troupe describe countr:Counter", 4, "",
         "troupe describe: no process has loaded a module 'countr'; did you mean 'counter'?\n"},
        {"troupe describe zzzzzz", 4, "", "troupe describe: *; `troupe ls modules --all` lists those that could be\n"},
        {"troupe task text:f", 4, "",
         "troupe task: */text.so is not a shared object: it does not begin like one; modules are built with -shared "
         "-fPIC\n"},
        {"troupe spawn text:Text -n t", 4, "", "troupe spawn: */text.so is not a shared object: *\n"},
        {"troupe task empty:f", 4, "", "troupe task: */empty.so is empty; build it anew\n"},
        {"troupe task lib:f", 4, "",
         "troupe task: */lib.so is a shared object, but no module: it has no symbol troupe_module_lib; *\n"},
        {"troupe spawn other:Counter -n t", 4, "", "troupe spawn: */other.so describes the module 'counter': *\n"},
        {"troupe task damaged:f", 4, "", "troupe task: */damaged.so is damaged: it should have *\n"},
        {"troupe task folder:f", 4, "", "troupe task: */folder.so is a directory, and no file\n"},
        {"troupe task fibb:fib 5", 4, "",
         "troupe task: there is no module 'fibb' in * (there are: *fib, *); did you mean 'fib'?\n"},
        {"troupe spawn countr:Counter -n t", 4, "", "troupe spawn: there is no module *; did you mean 'counter'?\n"},
        {"troupe task far_away:f", 4, "",
         "troupe task: there is no module 'far_away' in *; the program has joined *\n"},
        {"troupe stop -q", 0, "", ""},
    };
    COMMAND_RUN(rows);
}

Test(module, code_that_runs_when_a_module_is_loaded_takes_nobody_along)
{
    static const struct command_row rows[] = {
        {"cp $MODULES/bad_load.so .; troupe module inspect bad_load.so -q", 0, "", ""},
        {"BAD_LOAD=print troupe module inspect bad_load.so -q", 0, "", "loading\n"},
        {"BAD_LOAD=crash troupe module inspect bad_load.so", 4, "",
         "loading\ntroupe module inspect: bad_load.so crashed while it was loaded, by signal 6 (SIGABRT); its "
         "constructor functions run then\n"},
        {"BAD_LOAD=segv troupe module inspect bad_load.so", 4, "",
         "loading\ntroupe module inspect: bad_load.so crashed while it was loaded, by signal 11 (SIGSEGV); its "
         "constructor functions run then, and its tables are read: does each of them end with {0}?\n"},
        {"BAD_LOAD=exit troupe module inspect bad_load.so", 4, "",
         "loading\ntroupe module inspect: bad_load.so ended the process while it was loaded, with exit code 3; its "
         "constructor functions run then\n"},
        {"BAD_LOAD=fork timeout 9 troupe module inspect bad_load.so -q 2>&1 | cat", 0, "loading\n",
         ""}, /* none has it */
        {"BAD_LOAD=fork troupe module inspect bad_load.so", 0, "module bad_load *", "loading\n"},
        {"timeout -s INT --preserve-status 1 env BAD_LOAD=hang troupe module inspect bad_load.so", 130, "",
         "loading\n"},
        {"timeout 15 timeout -s INT --preserve-status 2 troupe module test bad_load.so", 130, "0 passed, 0 failed\n",
         ""},
        {"BAD_LOAD=crash troupe module test bad_load.so", 4, "", "loading\ntroupe module test: bad_load.so crashed *"},
    };
    COMMAND_RUN(rows);
}

/* The exit code of inspecting `file`, or -1 where the tool crashed. */
static int
inspect(const char *file)
{
    char line[200];
    snprintf(line, sizeof line, "$TROUPE_COMMAND module inspect %s >/dev/null 2>&1", file);
    const int status = system(line);
    return WIFEXITED(status) && WEXITSTATUS(status) < 128 ? WEXITSTATUS(status) : -1;
}

/* A copy of counter.so, its first `size` bytes; byte `at` changed. */
static void
write_damaged(const unsigned char *bytes, size_t size, size_t at, unsigned char mask)
{
    FILE *file = fopen("counter.so", "w");
    cr_assert_not_null(file);
    for (size_t i = 0; i < size; i++)
        fputc(bytes[i] ^ (i == at ? mask : 0), file);
    cr_assert_eq(fclose(file), 0);
}

Test(module, a_damaged_file_is_refused_wherever_the_damage_is)
{
    static unsigned char bytes[1 << 20];
    char path[1000];
    snprintf(path, sizeof path, "%s/counter.so", getenv("EXAMPLES"));
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cr_assert(size > 4096 && size < sizeof bytes);
    for (size_t cut = 1; cut < 12; cut++) { /* the loaded part ends somewhere before the end */
        write_damaged(bytes, size * cut / 12, SIZE_MAX, 0);
        const int exit_code = inspect("counter.so");
        cr_expect(exit_code == 4 || (exit_code == 0 && cut > 6), "cut to %zu of %zu bytes: %d", size * cut / 12, size,
                  exit_code);
    }
    for (size_t at = 0; at < 64 * 37; at += 37) { /* the head, the segments, names and code */
        write_damaged(bytes, size, at, (unsigned char)(1u << at % 8));
        cr_expect_geq(inspect("counter.so"), 0, "byte %zu", at);
    }
}

Test(module, test_runs_all_that_the_examples_offer)
{
    static const struct command_row rows[] = {
        {"troupe module test $EXAMPLES/counter.so", 0,
         "ok    counter:Counter is made\n"
         "ok    counter:Counter refuses an unknown keyword\n"
         "ok    counter:Counter refuses an argument too many\n"
         "ok    counter:Counter refuses a method that it has not\n"
         "ok    Counter.increment refuses an unknown keyword\n"
         "ok    Counter.increment refuses an argument too many\n"
         "ok    Counter.increment answers plain arguments\n"
         "ok    Counter.increment answers empty ones\n"
         "ok    Counter.increment answers odd ones\n"
         "ok    Counter.increment answers huge ones\n"
         "ok    Counter.get_counter refuses an unknown keyword\n"
         "ok    Counter.get_counter refuses an argument too many\n"
         "ok    Counter.get_counter answers plain arguments\n"
         "ok    counter:Counter is killed\n"
         "ok    counter:Counter does not answer then\n"
         "ok    counter:Counter is made again under its name\n"
         "16 passed, 0 failed\n",
         ""},
        {"for m in ranking desk greeter echo wordcount; do troupe module test $EXAMPLES/$m.so >said || cat said; done",
         0, "", ""},
        {"troupe module test $EXAMPLES/ranking.so --init '[\"high\"]'", 1,
         "FAIL  ranking:Ranking is made: *parameter 'minimal_score' wants a float64, found a string*\nskip  "
         "ranking:Ranking answers its 3 methods: there is no actor of it\n0 passed, 1 failed, 1 skipped\n",
         ""},
        {"troupe module test $EXAMPLES/ranking.so --init '{\"Ranking\": [80]}' | tail -n 1", 0, "25 passed, 0 failed\n",
         ""},
        {"troupe module test $EXAMPLES/counter.so --init 5", 2, "",
         "troupe module test: --init is neither a list of arguments nor an object with one for each class\n"},
        {"troupe module test $EXAMPLES/counter.so --init '{\"Counter\": 5}'", 2, "",
         "troupe module test: --init has no list of arguments for 'Counter'\n"},
        {"troupe module test $EXAMPLES/counter.so --timeout soon", 2, "", "troupe module test: --timeout *\n"},
        {"troupe module test none.so", 1, "", "troupe module test: none.so: No such file or directory\n"},
        {"troupe module test", 2, "", "troupe module test: FILE is missing; usage: troupe module test FILE\n"},
    };
    COMMAND_RUN(rows);
}

/* It crashes in a method, hangs in others, fails in its constructor. */
Test(module, test_reports_crashes_and_goes_on)
{
    static const struct command_row rows[] = {
        {"troupe module test -t 200ms $MODULES/trouble.so >said 2>printed", 1, "", ""},
        {"grep '^FAIL  Trouble.crash ' said", 0,
         "FAIL  Trouble.crash answers plain arguments: actor 'trouble:Trouble' on node '*' died: its process *. The "
         "call of crash may have run. In */trouble.so(*\n",
         ""},
        {"grep '^FAIL  trouble:crash ' said", 0, "FAIL  trouble:crash answers *\n", ""},
        {"grep '^skip  Trouble.hang ' said", 0,
         "skip  Trouble.hang answers plain arguments: no answer within 200 ms; it may wait for something\n", ""},
        {"tail -n 1 said", 0, "* passed, * failed, * skipped\n", ""},
        {"timeout -s INT --preserve-status 2 troupe module test -t 60s $MODULES/trouble.so >said 2>printed", 130, "",
         ""},
        {"troupe module test --json $EXAMPLES/fib.so", 0,
         "[{\"check\": \"fib:fib refuses a call without 'n'\", \"verdict\": \"passed\", \"why\": \"\"}, *]\n", ""},
    };
    COMMAND_RUN(rows);
}
