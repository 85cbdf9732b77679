/* signature.h - the parameters of methods as text. */
#ifndef TRI_CLI_SIGNATURE_H
#define TRI_CLI_SIGNATURE_H

#include <troupe/base.h>

/* "step:i=1" as "step: int = 1", cut to `size` with its NUL. Returns the length of the whole. */
size_t tri_signature_text(const char *args, char *text, size_t size);

#endif
