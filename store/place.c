/* place.c - the rule of store.h. Knows nothing of processes and messages. */
#include "store/store.h"

#include <inttypes.h>

trp_err
tri_store_place(uint64_t bytes, trp_location *location, trp_error *error)
{
    if (bytes > TRI_FRAME_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "an object of %" PRIu64 " bytes is larger than a frame, %d bytes: divide it",
                        bytes, (int)TRI_FRAME_MAX);
    *location = TRP_INLINE;
    return TRP_OK;
}
