#include <criterion/criterion.h>
#include <string.h>

#include "store/store.h"

Test(place, what_fits_a_frame_is_inline)
{
    const uint64_t sizes[] = {0, 1, TRI_INLINE_MAX, TRI_INLINE_MAX + 1, TRI_FRAME_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        trp_location location = TRP_PENDING;
        cr_expect_eq(tri_store_place(sizes[i], &location, NULL), TRP_OK);
        cr_expect_eq(location, TRP_INLINE);
    }
}

Test(place, what_does_not_is_refused_with_both_numbers)
{
    trp_error error;
    trp_location location = TRP_PENDING;
    cr_expect_eq(tri_store_place(TRI_FRAME_MAX + UINT64_C(1), &location, &error), TRP_ELIMIT);
    cr_expect_eq(location, TRP_PENDING, "outputs are written on success only");
    cr_expect(strstr(error.message, "67108865") != NULL && strstr(error.message, "67108864") != NULL, "%s",
              error.message);
}
