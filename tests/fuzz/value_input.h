/*
 * value_input.h - how an input of the target "value" begins: what the section is said to be, and what is changed in it later.
 */
#ifndef TRI_VALUE_INPUT_H
#define TRI_VALUE_INPUT_H

#include <stdint.h>

enum {
    VALUE_IS_CALL = 1,   /* the arguments of a call, not a value */
    VALUE_IS_SHARED = 2, /* it lies where another process may write to it while it is read */
};

struct value_input {
    uint8_t flags;
    uint8_t change;     /* is xored to the byte at `change_at` of the data */
    uint16_t ref_count; /* up to VALUE_REFS_MAX; every second one is an actor's */
    uint16_t change_at;
    uint16_t meta_size;
};
enum { VALUE_REFS_MAX = 8 };

#endif
