/* test_module_new.c - `troupe module new` and `build`: what is written builds and passes its tests; what cannot be is refused. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "tests/tools/command.h"

/* The tests of a new module are Criterion's, too, and would take this one's place in its shared memory for their own. */
static void
begin(void)
{
    unsetenv("BXFI_MAP");
    command_begin();
}

TestSuite(module_new, .init = begin, .fini = command_end, .timeout = 250);

Test(module_new, new_refuses_names_that_cannot_be)
{
    static const struct command_row rows[] = {
        {"troupe module", 2, "", "troupe: 'troupe module' needs one of: new, build, inspect, test\n"},
        {"troupe module net x", 2, "", "troupe: there is no 'troupe module net'; did you mean 'new'?\n"},
        {"troupe module new", 2, "", "troupe module new: NAME is missing; usage: troupe module new NAME\n"},
        {"troupe module new 1st", 2, "",
         "troupe module new: '1st' cannot be a module's name: it has to be a C identifier of at most 63 bytes, as in "
         "word_count\n"},
        {"troupe module new ../up", 2, "", "troupe module new: '../up' cannot be a module's name: *\n"},
        {"troupe module new ''", 2, "", "troupe module new: '' cannot be a module's name: *\n"},
        {"troupe module new $(printf 'a%.0s' $(seq 64))", 2, "",
         "troupe module new: '*' cannot be a module's name: *\n"},
        {"troupe module new troupe", 2, "",
         "troupe module new: 'troupe' is the module that every node has; choose another name\n"},
        {"troupe module new int", 2, "",
         "troupe module new: 'int' is a word of C or of its compiler; choose another name\n"},
        {"troupe module new trp_ctx", 2, "",
         "troupe module new: 'trp_ctx' begins with trp, as Troupe's own names do; choose another name\n"},
        {"troupe module new __", 2, "",
         "troupe module new: '__' has no letter for its class's name; choose another name\n"},
        {"for n in trp trpx troupe_x; do troupe module new $n; done", 2, "",
         "troupe module new: 'trp' begins with trp, as *\ntroupe module new: 'trpx' begins with trp, as *\n"
         "troupe module new: 'troupe_x' begins with troupe, as *\n"},
        {"for n in all benchmark clean coverage dist install phony test uninstall; do troupe module new $n; done "
         "2>said; grep -c 'is a target that meson makes itself; choose another name$' said",
         0, "9\n", ""},
        {"troupe module new test", 2, "",
         "troupe module new: 'test' is a target that meson makes itself; choose another name\n"},
        {"troupe module new INT64_MAX", 2, "",
         "troupe module new: 'INT64_MAX' is all upper case, as macros are; choose another name, as in word_count\n"},
        {"troupe module new NULL", 2, "", "troupe module new: 'NULL' is all upper case, *\n"},
        {"troupe module new __linux", 2, "",
         "troupe module new: '__linux' begins as only words of C and its compiler may; choose another name\n"},
        {"troupe module new _Bool", 2, "", "troupe module new: '_Bool' begins as *\n"},
        {"troupe module new _1x; rm -r _1x", 0, "_1x\n", ""},
        {"troupe module new a --in no/where", 1, "", "troupe module new: no/where: No such file or directory\n"},
        {"troupe module new full --in /sys/full", 1, "", "troupe module new: /sys/full: *\n"},
        {"mkdir there; troupe module new a -C there", 1, "",
         "troupe module new: there exists already; --in DIR names another directory\n"},
        {"(ulimit -f 1; trap '' XFSZ; troupe module new a)", 1, "", "troupe module new: a/a.c: File too large\n"},
        {"ls -d a", 2, "", NULL},
        {"troupe module new a --task-only", 2, "", "troupe module new: *did you mean '--tasks-only'?\n"},
        {"troupe module build", 1, "",
         "troupe module build: there is no ./meson.build; `troupe module new NAME` writes one\n"},
        {"troupe module build nowhere", 1, "",
         "troupe module build: there is no nowhere/meson.build; `troupe module new NAME` writes one\n"},
        {"troupe module build a b", 2, "",
         "troupe module build: 'b' is one argument too many; usage: troupe module build [DIR]\n"},
    };
    COMMAND_RUN(rows);
}

/* As they are, whatever the umask. */
Test(module_new, a_new_module_builds_and_passes_its_tests)
{
    static const struct command_row rows[] = {
        {"umask 002; troupe module new word_count", 0, "word_count\n", ""},
        {"ls word_count", 0, "meson.build\ntest_word_count.c\nword_count.c\n", ""},
        {"umask 002; troupe module build --test word_count", 0, "word_count/build/word_count.so\n", ""},
        {"stat -c %a word_count/build word_count/build/word_count.so", 0, "755\n755\n", ""},
        {"grep -c '^Ok: *1 *$' word_count/build/troupe-test.log", 0, "1\n", ""},
        {"chmod g+w word_count/build/word_count.so; troupe module build word_count", 0,
         "word_count/build/word_count.so\n", ""},
        /* Actors that live keep the file that they have. */
        {"ln word_count/build/word_count.so old; echo '/* more */' >>word_count/word_count.c; troupe module build "
         "word_count",
         0, "word_count/build/word_count.so\n", ""},
        {"test word_count/build/word_count.so -ef old && echo it was written to", 1, "", ""},
        {"troupe module inspect word_count/build/word_count.so", 0,
         "module word_count 0.1 (ABI 1.0, word_count/build/word_count.so)\n"
         "what it is for, in one line\n"
         "\n"
         "class WordCount(start:i=0)  a sum that grows\n"
         "  add(amount:i=1)  adds, and gives the sum\n"
         "  get()            the sum\n",
         ""},
        {"troupe module test word_count/build/word_count.so", 0, "*\n16 passed, 0 failed\n", ""},
        {"cp word_count/word_count.c good.c; echo 'static int unused;' >>word_count/word_count.c; troupe module build "
         "word_count 2>said",
         0, "word_count/build/word_count.so\n", NULL},
        {"grep -q 'word_count.c:.*warning: .*unused' said && grep -c '^\\[' said", 1, "0\n", ""},
        {"sed 's/amount:i/amount:q/' good.c >word_count/word_count.c; troupe module build word_count", 4, "",
         "troupe module build: *amount*\n"},
        {"cp good.c word_count/word_count.c; troupe module build word_count", 0, "word_count/build/word_count.so\n",
         ""},
        {"rm word_count/build/word_count.so; echo oops >>word_count/test_word_count.c; troupe module build word_count "
         "2>said",
         0, "word_count/build/word_count.so\n", ""},
        {"tail -n 1 said; grep -c 'test_word_count.c:.*error' said", 0,
         "troupe module build: warning: what is built is the module alone: its tests do not compile; what the compiler "
         "said is above\n*",
         ""},
        {"troupe module build --test word_count 2>said", 1, "", NULL},
        {"tail -n 1 said", 0,
         "troupe module build: what is built is the module alone: its tests do not compile; what the compiler said is "
         "above\n",
         ""},
        {"echo oops >>word_count/word_count.c; troupe module build word_count 2>said", 1, "", NULL},
        {"tail -n 1 said", 0, "troupe module build: meson compile failed; what it said is above\n", ""},
        {"grep -c 'word_count.c:.*error' said", 0, "1\n", ""}, /* and not once more for the test, which includes it */
        {"cd word_count && rm -r build && echo \"project('x', 'c')\" >meson.build && troupe module build", 1, "",
         "troupe module build: ./build has no module: its meson.build has to make a shared_module without a prefix "
         "(name_prefix: '')\n"},
    };
    COMMAND_RUN(rows);
}

/* Whatever else is called so in them. */
Test(module_new, names_that_the_files_have_too_compile)
{
    static const struct command_row rows[] = {
        {"for n in sum ctx self state error rt start stop methods classes tasks actor _1; do\n"
         "    troupe module new $n -q && cc -Wall -Werror -fsyntax-only $(pkg-config --cflags troupe) $n/test_$n.c || "
         "echo $n\n"
         "    troupe module new --tasks-only $n -C t_$n -q &&\n"
         "        cc -Wall -Werror -fsyntax-only $(pkg-config --cflags troupe) t_$n/test_$n.c || echo $n\n"
         "done",
         0, "", ""},
    };
    COMMAND_RUN(rows);
}

Test(module_new, a_new_module_of_tasks_builds_and_passes_its_tests)
{
    static const struct command_row rows[] = {
        {"troupe module new --tasks-only square --in here", 0, "here\n", ""},
        {"cd here && troupe module build --test --json", 0, "[\"./build/square.so\"]\n", ""},
        {"mkdir untested && sed '/^criterion/,$d' here/meson.build >untested/meson.build && cp here/square.c untested "
         "&& "
         "troupe module build --test untested",
         1, "",
         "troupe module build: there is no test to run: untested/meson.build has none, or Criterion was not there when "
         "it "
         "was set up; on Debian: apt install libcriterion-dev, then rm -r untested/build\n"},
        {"troupe module build untested", 0, "untested/build/square.so\n", ""},
        {"troupe module test here/build/square.so", 0,
         "ok    square:square refuses a call without 'number'\n"
         "ok    square:square refuses 'number' of another kind\n"
         "ok    square:square refuses an unknown keyword\n"
         "ok    square:square refuses an argument too many\n"
         "ok    square:square answers plain arguments\n"
         "ok    square:square answers empty ones\n"
         "ok    square:square answers odd ones\n"
         "ok    square:square answers huge ones\n"
         "8 passed, 0 failed\n",
         ""},
        {"mkdir bin; for p in sh ninja pkg-config cc; do ln -s $(command -v $p) bin; done; ln -s $TROUPE_COMMAND "
         "bin/troupe; "
         "PATH=$PWD/bin troupe module build here",
         1, "", "troupe module build: there is no meson in $PATH; on Debian: apt install meson\n"},
        {"ln -s $(command -v meson) bin; rm bin/pkg-config; PATH=$PWD/bin troupe module build here", 1, "",
         "troupe module build: there is no pkg-config in $PATH; on Debian: apt install pkg-config\n"},
        {"ln -s $(command -v pkg-config) bin; rm bin/cc; env -u CC PATH=$PWD/bin troupe module build here", 1, "",
         "troupe module build: there is no C compiler (cc, gcc, clang) in $PATH; on Debian: apt install gcc\n"},
        {"CC=nocc PATH=$PWD/bin troupe module build here", 1, "",
         "troupe module build: $CC is 'nocc', which is not in $PATH\n"},
    };
    COMMAND_RUN(rows);
}
