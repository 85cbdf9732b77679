/*
 * kept_input.h - how an input of the target "kept" begins: a byte for the hashes, and one for the name.
 */
#ifndef TRI_KEPT_INPUT_H
#define TRI_KEPT_INPUT_H

enum { KEPT_HEAD = 2 };

#endif
