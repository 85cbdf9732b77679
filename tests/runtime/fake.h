/*
 * fake.h - a broker in a thread of the test, made of a door, a link and a channel: enough of one to see what the runtime does.
 * Methods of every actor: "echo" answers its first argument (as trp_get sees it), "hold" answers when told to, "fail" fails
 * with cause 7, "die" closes the door.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake;

/* Starts one in a fresh directory (or, given one, in that again). Never returns NULL: a test that has none ends. */
struct fake *fake_start(const char *directory);
struct fake *fake_start_silent(const char *directory); /* it lets everybody in and answers no HELLO */
const char *fake_directory(const struct fake *fake);
void fake_stop(struct fake **fake);                     /* as if it had died: door and link close, nothing is said */
void fake_answer_held(struct fake *fake);               /* all calls of "hold", with their order numbers 0, 1, ... */
void fake_credit(struct fake *fake, uint32_t calls);    /* of the next WELCOME */
void fake_version(struct fake *fake, uint16_t version); /* of the next WELCOME, another than ours */
void fake_make_actor(struct fake *fake);                /* who logs in has to; the answer is all that is heard of it */
void fake_clean(const char *directory);                 /* removes it with its files */
size_t fake_calls(struct fake *fake);                   /* that have come */
bool fake_await_calls(struct fake *fake, size_t count); /* within 5 s */
bool fake_await_hellos(struct fake *fake, size_t count);
bool fake_await_made(struct fake *fake);

#endif
