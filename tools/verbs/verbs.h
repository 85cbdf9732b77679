/*
 * verbs.h - the rows of the verbs, each in a file of its family. docs/architecture.md says how to add one.
 */
#ifndef TRI_VERBS_H
#define TRI_VERBS_H

#include "tools/cli/cli.h"

extern const struct tri_verb tri_verb_call, tri_verb_send, tri_verb_task;              /* call.c */
extern const struct tri_verb tri_verb_put, tri_verb_get, tri_verb_wait, tri_verb_drop; /* refs.c */
extern const struct tri_verb tri_verb_cancel;                                          /* refs.c */
extern const struct tri_verb tri_verb_spawn, tri_verb_kill;                            /* spawn.c */
extern const struct tri_verb tri_verb_watch;                                           /* watch.c */
extern const struct tri_verb tri_verb_describe;                                        /* describe.c */
extern const struct tri_verb tri_verb_ls;                                              /* list.c */
extern const struct tri_verb tri_verb_why;                                             /* why.c */
extern const struct tri_verb tri_verb_sh;                                              /* tools/sh/verb.c */
extern const struct tri_verb tri_verb_start;                                           /* start.c */
extern const struct tri_verb tri_verb_stop, tri_verb_status;                           /* node.c */
extern const struct tri_verb tri_verb_run;                                             /* run.c */
extern const struct tri_verb tri_verb_logs;                                            /* logs.c */
extern const struct tri_verb tri_verb_doctor;                                          /* doctor.c */
extern const struct tri_verb tri_verb_config_show;                                     /* config.c */
extern const struct tri_verb tri_verb_top;                                             /* top.c */
extern const struct tri_verb tri_verb_trace;                                           /* trace.c */
extern const struct tri_verb tri_verb_bench;                                           /* bench.c */
extern const struct tri_verb tri_verb_complete;                                        /* completion.c */
extern const struct tri_verb tri_verb_version, tri_verb_help;                          /* version.c */
extern const struct tri_verb tri_verb_module_new, tri_verb_module_build;               /* tools/module/ */
extern const struct tri_verb tri_verb_module_inspect, tri_verb_module_test;

/* Whether it could: --ttl is a time, and nothing is kept under --name. Asked before a call is made for it. */
int tri_check_keep(struct tri_cli *cli, const struct tri_args *args);
/* Has the node keep it under --name, for --ttl, and prints a reference to it. */
int tri_keep_ref(struct tri_cli *cli, const struct tri_args *args, trp_ref *ref);

/* Of what the broker says holds an object: "driver sort (1234)", "call Ada.add (queued)", "object 00ab...". */
void tri_holder_text(trp_value holder, char *text, size_t size);

/* An object of the bytes of a file, or of standard input ("-"). What is made is the caller's to release, also where this fails. */
int tri_put_file(struct tri_cli *cli, const char *path, trp_ref **ref);
/* The bytes of a value, which `what` names, into a file, whole or not at all; or to standard output ("-"). */
int tri_get_file(struct tri_cli *cli, const char *what, trp_value value, const char *path);

#endif
