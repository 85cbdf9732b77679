/*
 * test_nodes.c - start, stop, status, run, logs, doctor: nodes that begin and end, and all that may be in their way. Each test is
 * on a directory of its own; loops in the lines wait for an event, until the test's time is over.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tools/command.h"

static void
end(void)
{
    /* whatever a test that failed has left */
    (void)system("for d in node other x/troupe; do [ -e $d ] && troupe stop --dir $d --force >/dev/null 2>&1; done");
    command_end();
}

TestSuite(nodes, .init = command_begin, .fini = end, .timeout = 120);

#define STARTED "a node runs at */node (process *), its log is */node/log\n"
#define ENDED   "the node at */node (process *) has ended\n"

/* The lock is free: the node has ended, in whatever way. */
#define UNTIL_DEAD "until flock -n node/lock true 2>/dev/null || [ ! -e node/lock ]; do :; done"

/* ------------------------------------------------------------------------------------------------- the usual and nothing */

Test(nodes, verbs_that_need_a_node_say_so_and_start_none)
{
    static const struct command_row rows[] = {
        {"troupe status", 9, "", "troupe status: no node runs at */node; start one with `troupe start`\n"},
        {"troupe stop", 9, "", "troupe stop: no node runs at */node; start one with `troupe start`\n"},
        {"troupe logs", 9, "", "troupe logs: no node runs at */node; start one with `troupe start`\n"},
        {"troupe run true", 9, "", "troupe run: no node runs at */node; start one with `troupe start`\n"},
        {"troupe ls actors", 9, "", "troupe ls: no node runs at */node; start one with `troupe start`\n"},
        {"troupe status --dir ''", 2, "", "troupe status: --dir needs a directory, got ''\n"},
        {"troupe status now", 2, "", "troupe status: takes no arguments, got 'now'\n"},
        {"troupe status --json", 9, "",
         "{\"error\": {\"verb\": \"status\", \"exit\": 9, *\"code\": \"TRP_EBROKER\"*}}\n"},
        {"ls", 0, "err\nline\nout\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(nodes, a_daemon_is_ready_when_start_returns_and_gone_when_stop_does)
{
    static const struct command_row rows[] = {
        {"troupe start --daemon", 0, STARTED, ""},
        {"troupe status", 0,
         "node       * at */node\nstate      ready, process *, up *s\nresources  0 of * CPUs, 0 of 0 GPUs taken\n"
         "running    0 actors, 0 calls, 0 tasks queued, 0 objects\nprocesses  * logged in, * of them hosts\n"
         "log        */node/log\n",
         ""},
        {"troupe status --json", 0,
         "{\"name\": \"*\", *\"directory\": \"*/node\", \"pid\": *, \"log\": \"*/node/log\"}\n", ""},
        {"troupe task play:echo 5", 0, "5\n", ""},
        {"troupe start --daemon", 1, "",
         "troupe start: a node lives in */node (process *): end it with `troupe stop`, or choose another directory "
         "with --dir "
         "or $TROUPE_DIR\n"},
        {"troupe start", 1, "", "troupe start: a node lives in */node (process *): *\n"},
        {"troupe start -d --dir node", 1, "", "troupe start: a node lives in */node (process *): *\n"},
        {"troupe stop", 0, ENDED, ""},
        {"troupe stop", 9, "", "troupe stop: no node runs at */node; start one with `troupe start`\n"},
        {"troupe start -d -q", 0, "", ""},
        {"troupe stop -q", 0, "", ""},
        {"troupe start -d --json --num-cpus 3 --num-gpus 0.5 --log-level error --log-file own", 0,
         "{\"directory\": \"*/node\", \"pid\": *, \"log\": \"*/own\"}\n", ""},
        {"troupe ls nodes --json", 0, "[{\"name\": \"*\", \"cpus\": 3.0, *\"gpus\": 0.5,*}]\n", ""},
        {"troupe stop", 0, ENDED, ""},
        {"cat own", 0, "-- *: a node starts in */node, process *\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(nodes, two_nodes_are_told_apart)
{
    static const struct command_row rows[] = {
        {"troupe start -d", 0, STARTED, ""},
        {"troupe start -d --dir other --num-cpus 7", 0, "a node runs at */other (process *), its log is */other/log\n",
         ""},
        {"troupe status --dir other | grep -c 'of 7 CPUs'", 0, "1\n", ""},
        {"troupe spawn play:Stage --name s", 0, "\"actor:*\"\n", ""},
        {"troupe call s echo 1 --dir other", 4, "", "troupe call: no actor is called 's'; *\n"},
        {"troupe stop --dir other", 0, "the node at other (process *) has ended\n", ""},
        {"troupe call s echo 1", 0, "1\n", ""},
        {"troupe stop", 0, ENDED, ""},
        {"mkdir -m 700 x; TROUPE_DIR= XDG_RUNTIME_DIR=$PWD/x troupe start -d", 0,
         "a node runs at */x/troupe (process *\n", ""},
        {"XDG_RUNTIME_DIR=$PWD/x troupe status", 9, "",
         "troupe status: no node runs at */node; one runs at */x/troupe, which --dir can name\n"},
        {"TROUPE_DIR= XDG_RUNTIME_DIR=$PWD/x troupe stop", 0, "the node at */x/troupe (process *) has ended\n", ""},
    };
    COMMAND_RUN(rows);
}

/* ------------------------------------------------------------------------------------------------------ in the foreground */

Test(nodes, in_the_foreground_it_ends_with_a_signal_and_with_its_starter)
{
    static const struct command_row rows[] = {
        {"rm -f o; troupe start >o 2>e & p=$!; until grep -qs process o; do :; done; troupe status -q || exit 1; kill "
         "-TERM $p; "
         "wait $p",
         0, "", ""},
        {"cat o", 0, "a node runs at */node (process *); Ctrl-C ends it\n", ""},
        {"grep -c 'I troupe-node: the node ends: Terminated' e", 0, "1\n", ""},
        {"ls node", 2, "", "*"},
        {"rm -f o; troupe start >o 2>e & p=$!; until grep -qs process o; do :; done; kill -INT $p; wait $p", 0, "", ""},
        {"rm -f o; troupe start >o 2>e & p=$!; until grep -qs process o; do :; done; kill -KILL $p; " UNTIL_DEAD, 0, "",
         NULL},
        {"troupe status", 9, "", "troupe status: no node runs at */node; start one with `troupe start`\n"},
        {"rm -f o; troupe start >o 2>e & p=$!; until grep -qs process o; do :; done; kill -KILL $(cat node/node.pid); "
         "wait $p",
         1, "", ""},
        {"grep troupe.start: e", 0, "troupe start: the node ended, killed by signal 9 (Killed)\n", ""},
    };
    COMMAND_RUN(rows);
}

/* Type=notify: what systemd hears, from the node itself. */
Test(nodes, systemd_is_told_when_it_is_ready_and_when_it_ends)
{
    static const struct command_row rows[] = {
        {"python3 -c '\n"
         "import os, socket, subprocess\n"
         "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
         "s.bind(\"notify\")\n"
         "s.settimeout(20)\n"
         "p = subprocess.Popen([\"troupe\", \"start\", \"-q\"], env=dict(os.environ, "
         "NOTIFY_SOCKET=os.path.realpath(\"notify\")))\n"
         "print(s.recv(100).decode())\n"
         "p.terminate()\n"
         "print(s.recv(100).decode())\n"
         "print(p.wait(20))'",
         0, "READY=1\nSTOPPING=1\n0\n", "*"},
    };
    COMMAND_RUN(rows);
}

/* As far as systemd can tell without running them; where there is none, nothing. */
Test(nodes, systemd_takes_the_units)
{
    static const struct command_row rows[] = {
        {"sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' $UNITS/troupe.service >troupe.service", 0, "", ""},
        {"sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' $UNITS/troupe@.service >troupe@x.service", 0, "", ""},
        {"! command -v systemd-analyze >/dev/null || systemd-analyze verify --man=no ./troupe.service "
         "./troupe@x.service",
         0, "", ""},
    };
    COMMAND_RUN(rows);
}

/* --------------------------------------------------------------------------------------------------------- what goes wrong */

Test(nodes, start_refuses_words_that_are_wrong)
{
    static const struct command_row rows[] = {
        {"troupe start here", 2, "", "troupe start: takes no arguments, got 'here'\n"},
        {"troupe start --daemn", 2, "", "troupe start: unknown option '--daemn'; did you mean '--daemon'?\n"},
        {"troupe start --num-cpus", 2, "", "troupe start: --num-cpus needs a value: --num-cpus N\n"},
        {"troupe start --num-cpus x", 2, "", "troupe start: --num-cpus needs a number from 0 to 1000000, got 'x'\n"},
        {"troupe start --num-cpus -1", 2, "", "troupe start: --num-cpus needs a number from 0 to 1000000, got '-1'\n"},
        {"troupe start --num-cpus nan", 2, "",
         "troupe start: --num-cpus needs a number from 0 to 1000000, got 'nan'\n"},
        {"troupe start --store 1e9", 2, "",
         "troupe start: --store needs a number of bytes, or one with K, M, G or T, got '1e9'\n"},
        {"troupe start --num-gpus 1e9", 2, "",
         "troupe start: --num-gpus needs a number from 0 to 1000000, got '1e9'\n"},
        {"troupe start --log-level loud", 2, "",
         "troupe start: --log-level needs error, warning, info or debug, got 'loud'\n"},
        {"troupe start --log-file ''", 2, "", "troupe start: --log-file is empty\n"},
        {"troupe start --module-path ''", 2, "", "troupe start: --module-path is empty\n"},
        {"troupe start --dir ''", 2, "", "troupe start: --dir needs a directory, got ''\n"},
        {"troupe start --timeout soon", 2, "",
         "troupe start: --timeout needs a time such as 5 (seconds), 200ms, 2m or 1h, got 'soon'\n"},
        {"troupe start --dir \"$(printf %300s | tr ' ' d)\"", 2, "",
         "troupe start: a node's directory has at most 255 bytes, got 300\n"},
        {"troupe start -d --dir \"$(printf %120s | tr ' ' d)\"", 1, "",
         "troupe start: the directory's path has * bytes, but sockets lie in it whose paths end at 107: choose one of "
         "at "
         "most 95 bytes with --dir or $TROUPE_DIR: *\n"},
        {"ls", 0, "err\nline\nout\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(nodes, start_says_why_its_directory_is_none)
{
    static const struct command_row rows[] = {
        {"troupe start -d --dir no/such", 1, "",
         "troupe start: cannot make the node's directory */no/such; set TROUPE_DIR to one that can be made: No such "
         "file or "
         "directory\n"},
        {"touch f; troupe start -d --dir f", 1, "",
         "troupe start: */f is not a directory (or a symbolic link to one): choose a directory of your own with "
         "--dir or $TROUPE_DIR\n"},
        {"mkdir -m 755 open; troupe start -d --dir open", 1, "",
         "troupe start: */open is open to other users (mode 755): choose a directory of your own with --dir or "
         "$TROUPE_DIR\n"},
        {"troupe start -d --dir /tmp", 1, "",
         "troupe start: /tmp *: choose a directory of your own with --dir or $TROUPE_DIR\n"},
        {"troupe start -d --dir /proc/troupe", 1, "",
         "troupe start: cannot make the node's directory /proc/troupe; *\n"},
    };
    static const struct command_row others[] = {
        {"mkdir -m 700 theirs; chown 65534 theirs; troupe start -d --dir theirs", 1, "",
         "troupe start: */theirs belongs to user 65534, this is user 0: set TROUPE_DIR to another path\n"},
        {"mkdir -m 777 all; cd all; setpriv --reuid 65534 --clear-groups troupe status --dir ../theirs/node", 9, "",
         "troupe status: the directory */theirs/node is not permitted to you*\n"},
    };
    COMMAND_RUN(rows);
    if (geteuid() == 0)
        COMMAND_RUN(others);
}

Test(nodes, start_says_that_there_is_no_room)
{
    static const struct command_row rows[] = {
        {"(ulimit -f 0; troupe start -d) 2>&1 | cat", 0,
         "troupe start: cannot write *: File too large; allow larger files (ulimit -f), or "
         "choose "
         "another directory with --dir or $TROUPE_DIR\n",
         ""},
        {"(ulimit -n 40; troupe start -d)", 1, "",
         "troupe start: a node of * CPUs needs * open files, for * processes, and may have 40: allow more with ulimit "
         "-n 1024 "
         "or more (4 for each process on the node)\n"},
        {"troupe start -d --log-file /dev/full", 1, "",
         "troupe start: cannot write the log file /dev/full: No space left on device; free some room there (df), or "
         "remove files (df -i)\n"},
        {"troupe start -d --log-file /no/such/log", 1, "",
         "troupe start: cannot write the log file /no/such/log: No such file or directory\n"},
        {"mkdir d; troupe start -d --log-file d", 1, "",
         "troupe start: cannot write the log file */d: Is a directory\n"},
        {"troupe start --log-file /dev/full", 1, "",
         "troupe start: cannot write the log file /dev/full: No space left on device; free some room there (df), or "
         "remove files (df -i)\n"},
        {"troupe start -d >/dev/full; e=$?; troupe stop -q; exit $e", 1, "",
         "troupe start: its output cannot be written: No space left on device\n"},
        {"ls node", 0, "log\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(nodes, start_says_what_became_of_a_node_that_ended_while_it_started)
{
    static const struct command_row rows[] = {
        {"printf '#!/bin/sh\\nkill -9 $$\\n' >dies; printf '#!/bin/sh\\nexit 7\\n' >leaves; chmod +x dies leaves", 0,
         "", ""},
        {"printf '#!/bin/sh\\nexec sleep 60\\n' >hangs; printf 'no program' >none; chmod +x hangs none", 0, "", ""},
        {"TROUPE_NODE=./dies troupe start -d", 1, "",
         "troupe start: the node ended while it started, killed by signal 9 (Killed); its log is */node/log\n"},
        {"TROUPE_NODE=./dies troupe start", 1, "",
         "troupe start: the node ended while it started, killed by signal 9 (Killed); what it said is above\n"},
        {"TROUPE_NODE=$PWD/leaves troupe start -d", 1, "",
         "troupe start: the node ended while it started, with exit status 7; its log is */node/log\n"},
        {"TROUPE_NODE=$PWD/hangs troupe start -d --timeout 200ms", 124, "",
         "troupe start: the node was not ready within 0.2 s and was killed; `troupe doctor` looks why\n"},
        {"TROUPE_NODE=$PWD/hangs troupe start -d & p=$!; until pgrep -f \"sleep 60\" -P $p >/dev/null; do :; done; "
         "kill -INT $p; wait $p",
         130, "", "troupe start: stopped before the node was ready; it has ended\n"},
        {"TROUPE_NODE=$PWD/none troupe start -d", 1, "", "troupe start: */none cannot be run: Exec format error\n"},
        {"TROUPE_NODE=/no/such troupe start -d", 1, "",
         "troupe start: $TROUPE_NODE is '/no/such', which cannot be run: No such file or directory\n"},
        {"mkdir bin; cp $(command -v troupe) bin; LD_LIBRARY_PATH=$(dirname $(command -v troupe))/../actors "
         "TROUPE_NODE= bin/troupe start -d",
         1, "", "troupe start: the program troupe-node is not beside this one, in */bin; $TROUPE_NODE can name it\n"},
    };
    COMMAND_RUN(rows);
}

Test(nodes, what_a_killed_node_has_left_is_in_nobodys_way)
{
    static const struct command_row rows[] = {
        {"troupe start -d", 0, STARTED, ""},
        {"r=$(cat node/node.pid); kill -STOP $r; kill -9 $(pgrep -P $r) $r; " UNTIL_DEAD "; ls node | tr '\\n' ' '", 0,
         "*log node.pid *", ""},
        {"troupe status", 9, "",
         "troupe status: the node at */node has died and left its files; start one with `troupe start`\n"},
        {"troupe stop", 9, "", "troupe stop: the node at */node has died and left its files; *\n"},
        {"troupe ls actors", 9, "", "troupe ls: the node at */node has died and left its files; *\n"},
        {"troupe logs -n 1000 | head -n 1", 0, "-- *: a node starts in */node, process *\n", ""},
        {"troupe doctor | grep node", 0,
         "*node*warning*the one at */node has died and left its files; `troupe start` starts "
         "another\n",
         ""},
        {"troupe start -d", 0, STARTED, ""},
        {"troupe logs -n 1000 | grep -c 'a node starts in'", 0, "2\n", ""},
        {"troupe stop", 0, ENDED, ""},
    };
    COMMAND_RUN(rows);
}

Test(nodes, a_node_that_hangs_is_killed_by_force_alone)
{
    static const struct command_row rows[] = {
        {"troupe start -d", 0, STARTED, ""},
        {"kill -STOP $(cat node/node.pid)", 0, "", ""},
        {"troupe stop --timeout 200ms", 124, "",
         "troupe stop: the node at */node (process *) has not ended within 0.2 s; `troupe stop --force` kills it\n"},
        {"troupe stop --timeout 200ms --force", 0, "the node at */node (process *) was killed\n", ""},
        {"troupe stop --timeout x", 2, "", "troupe stop: --timeout needs a time such as *, got 'x'\n"},
        {"troupe stop --forc", 2, "", "troupe stop: unknown option '--forc'; did you mean '--force'?\n"},
    };
    COMMAND_RUN(rows);
}

/* ------------------------------------------------------------------------------------------------------------------ run */

Test(nodes, run_gives_a_program_the_node_and_its_exit_status)
{
    static const struct command_row rows[] = {
        {"troupe start -d", 0, STARTED, ""},
        {"troupe run sh -c 'echo $TROUPE_DIR; echo wrong >&2; exit 3'", 3, "*/node\n", "wrong\n"},
        {"echo in | troupe run cat -", 0, "in\n", ""},
        {"troupe run troupe status -q", 0, "", ""},
        {"TROUPE_DIR= troupe run --dir node troupe ls nodes -q", 0, "", ""},
        {"troupe run -v true", 0, "", "troupe run: runs true on the node at */node\n"},
        {"troupe run sh -c 'kill -TERM $$'", 143, "", "troupe run: sh was ended by signal 15 (Terminated)\n"},
        {"troupe run", 2, "", "troupe run: PROGRAM is missing; usage: troupe run PROGRAM [ARG...]\n"},
        {"troupe run ''", 2, "", "troupe run: PROGRAM is empty\n"},
        {"troupe run nosuch", 127, "",
         "troupe run: no program is called 'nosuch'; one that is not in $PATH is named with its directory\n"},
        {"troupe run ./nosuch", 127, "", "troupe run: ./nosuch: No such file or directory\n"},
        {"touch plain; troupe run ./plain", 126, "", "troupe run: ./plain: Permission denied\n"},
        {"mkdir folder; troupe run ./folder", 126, "", "troupe run: ./folder: Is a directory\n"},
        {"printf '#!/nonexistent/x\\n' >nint; chmod +x nint; troupe run ./nint", 126, "",
         "troupe run: ./nint needs an interpreter that is not there; its first line names it\n"},
        {"PATH=$PWD:$PATH troupe run nint", 126, "", "troupe run: nint needs an interpreter *\n"},
        {"PATH=$PWD:$PATH troupe run folder", 127, "", "troupe run: no program is called 'folder'; *\n"},
        {"printf 'MZ\\0\\1\\2' >odd; chmod +x odd; troupe run ./odd 2>said; test $? -ne 0 && test -s said", 0, "", ""},
        {"troupe stop", 0, ENDED, ""},
    };
    COMMAND_RUN(rows);
}

/* ----------------------------------------------------------------------------------------------------------------- logs */

Test(nodes, logs_shows_the_end_and_follows)
{
    static const struct command_row rows[] = {
        {"troupe start -d --log-level error", 0, STARTED, ""},
        {"printf 'one\\ntwo\\nthree' >>node/log; troupe logs -n 2", 0, "two\nthree", ""},
        {"printf 'a\\0b\\n' >>node/log; troupe logs -n 1 | od -An -c", 0, "   t   h   r   e   e   a  \\0   b  \\n\n",
         ""},
        {"troupe logs -n 0", 0, "", ""},
        {"troupe logs -n x", 2, "", "troupe logs: --lines needs a number from 0 to 1000000000, got 'x'\n"},
        {"troupe logs --lines -1", 2, "", "troupe logs: --lines needs a number from 0 to 1000000000, got '-1'\n"},
        {"troupe logs -n 1000000 >/dev/full", 1, "",
         "troupe logs: its output cannot be written: No space left on device\n"},
        {"seq 100000 >>node/log; troupe logs -n 99999 | wc -l", 0, "99999\n", ""},
        {"troupe logs -n 99999 | head -n 1", 0, "2\n", ""},
        {"rm -f f; troupe logs -f -n 1 >f & p=$!; until grep -qs 100000 f; do :; done; echo more >>node/log; "
         "until grep -qs more f; do :; done; kill -INT $p; wait $p",
         130, "", ""},
        {"cat f", 0, "100000\nmore\n", ""},
        {"rm -f f; troupe logs -f -n 1 >f & p=$!; until grep -qs more f; do :; done; mv node/log old; echo anew "
         ">node/log; "
         "until grep -qs anew f; do :; done; : >node/log; echo cut >>node/log; until grep -qs cut f; do :; done; "
         "kill -INT $p; wait $p",
         130, "", NULL},
        {"troupe stop", 0, ENDED, ""},
        {"rm -f o; troupe start 2>&1 >o | cat >e & until grep -qs process o; do :; done; troupe logs; e=$?; troupe "
         "stop -q; "
         "exit "
         "$e",
         1, "",
         "troupe logs: the log of the node at */node goes to the program that started it; `troupe start --daemon` or "
         "--log-file has it in a file\n"},
    };
    COMMAND_RUN(rows);
}

/* --------------------------------------------------------------------------------------------------------------- doctor */

Test(nodes, a_daemons_module_path_may_be_relative_and_what_is_missing_in_it_is_said)
{
    static const struct command_row rows[] = {
        {"mkdir -m 755 mods && cp ${TRP_MODULE_PATH%%:*}/play.so mods && chmod 755 mods/play.so", 0, "", ""},
        {"troupe start -d --module-path typo:mods", 0, STARTED,
         "troupe start: */typo is in the module path: No such file or directory\n"},
        {"troupe task play:echo 5", 0, "5\n", ""},
        {"troupe stop", 0, ENDED, ""},
        {"troupe start -d -q --module-path typo && troupe stop", 0, ENDED, ""},
        {"mkdir -m 755 -p larder/build pantry; troupe start -d -q --module-path ./larder && troupe stop -q", 0, "", ""},
        {"troupe start -d --module-path larder && troupe stop -q", 0, STARTED,
         "troupe start: */larder is in the module path: there is no module in it\n"},
        {"cp mods/play.so larder/build; troupe start -d --dir .//its/. --module-path ./larder | sed \"s|$PWD|HERE|g\"; "
         "troupe stop -q --dir its",
         0, "a node runs at HERE/its (process *), its log is HERE/its/log\n",
         "troupe start: */larder is in the module path: there is no module in it; did you mean */larder/build?\n"},
        {"echo text >pantry/play.so; troupe start -d --module-path pantry && troupe stop -q", 0, STARTED,
         "troupe start: */pantry is in the module path: no file in it is a module; `troupe module inspect FILE` says "
         "why\n"},
    };
    COMMAND_RUN(rows);
}

Test(nodes, doctor_says_what_is_wrong)
{
    static const struct command_row rows[] = {
        {"troupe doctor", 0,
         "CHECK*programs*ok*troupe 0.*\nsettings*ok*no configuration file is read*\ndirectory*ok*/node is not there "
         "yet; a node "
         "makes it\nopen files*ok*\nmodules*ok*\nnode*ok*none runs at */node; `troupe start` starts one\n",
         ""},
        {"troupe doctor --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'", 0, "6\n", ""},
        {"TROUPE_NODE=none troupe doctor", 1, "*programs*wrong*./none cannot be run: No such file or directory\n*", ""},
        {"TROUPE_NODE=/no/such troupe doctor", 1,
         "*programs*wrong*/no/such cannot be run: No such file or directory\n*", ""},
        {"touch f; troupe doctor --dir f", 1, "*directory*wrong*f is not a directory; choose another with --dir\n*",
         ""},
        {"mkdir -m 755 open; troupe doctor --dir open", 1,
         "*directory*wrong*open to other users (mode 755); choose another with --dir\n*", ""},
        {"(ulimit -n 40; troupe doctor)", 1,
         "*open files*wrong*40 are allowed, a node of * CPUs needs *: ulimit -n 1024\n*", ""},
        {"TRP_MODULE_PATH=/no/such troupe doctor", 0,
         "*modules*warning*/no/such is in the module path: No such file or directory\n*", ""},
        {"TRP_MODULE_PATH= troupe doctor", 0, "*modules*ok*no module path is set for a node that starts now\n*", ""},
        {"mkdir -m 755 mods; TRP_MODULE_PATH=$PWD/mods troupe doctor; cp ${TRP_MODULE_PATH%%:*}/play.so mods && chmod "
         "755 mods/play.so",
         0, "*modules*warning*/mods is in the module path: there is no module in it\n*", ""},
        {"troupe start -d -q --module-path mods; TRP_MODULE_PATH= troupe doctor; troupe stop -q", 0,
         "*modules*ok*/mods: the module path of the node\n*", ""},
        {"troupe start -d -q --module-path mods; mv mods away; TRP_MODULE_PATH= troupe doctor; troupe stop -q", 0,
         "*modules*warning*/mods is in the node's module path: No such file or directory\n*", ""},
        {"mv away mods; TRP_MODULE_PATH=$PWD/mods $(dirname $(command -v troupe))/troupe-node --service --dir "
         "node 2>&- & until troupe status -q; do :; "
         "done 2>&-; troupe doctor; troupe stop -q; wait",
         0, "*modules*ok*/mods: the module path of the node\n*", ""},
        {"mkdir -m 777 all; chmod 777 all; TRP_MODULE_PATH=all troupe doctor", 0,
         "*modules*warning*all is in the module path: it can be written by others, so no module is loaded from it: "
         "chmod go-w "
         "it\n*",
         ""},
        {"TROUPE_CONFIG=/no/such troupe doctor", 1, "*settings*wrong*\n*",
         "troupe doctor: /no/such: No such file or directory\n"},
        {"troupe start -d -q; troupe doctor; e=$?; troupe stop -q; exit $e", 0,
         "*node*ok*the one at */node (process *) answers within * ms\n", ""},
        {"troupe start -d -q; kill -STOP $(pgrep -P $(cat node/node.pid) troupe-broker); troupe doctor --dir node; "
         "e=$?; "
         "kill -CONT $(pgrep -P $(cat node/node.pid) troupe-broker); troupe stop -q; exit $e",
         1, "*node*wrong*the one at node (process *) does not let us in, as said above\n",
         "troupe doctor: *stopped, or hangs*\n"},
        {"troupe doctor all", 2, "", "troupe doctor: takes no arguments, got 'all'\n"},
    };
    COMMAND_RUN(rows);
}
