/* helpers.h - what the suites of transport/ share: packets with known content, and what goes wrong in words. */
#ifndef TRI_TRANSPORT_HELPERS_H
#define TRI_TRANSPORT_HELPERS_H

#include <criterion/criterion.h>

#include "tests/common/scratch.h"
#include "transport/transport.h"

enum { DEADLINE_MS = 10000 };

void *make_context(void); /* of links */

/* A packet whose batch has `batch_size` bytes, at least 48 and a head without envelopes, and frames of these sizes, all of them
 * filled from `seed`. */
void make_packet(struct tri_packet *packet, uint64_t seed, size_t batch_size, const size_t *frame_sizes,
                 uint32_t frame_count);
/* Fails the test unless it has exactly that content; then releases it. */
void check_packet(struct tri_packet *packet, uint64_t seed, size_t batch_size, const size_t *frame_sizes,
                  uint32_t frame_count);

/* A section of `size` bytes of data made from `seed`; the caller releases *frame, in which it lies. */
struct tri_section make_section(uint64_t seed, size_t size, struct tri_buf **frame);

/* Asserts that `expression` is `err` and shows the sentence if it is not. */
#define EXPECT(err, expression)                                                                                        \
    do {                                                                                                               \
        const trp_err expect_got_ = (expression);                                                                      \
        cr_assert_eq(expect_got_, (err), "expected %d, got %d: %s", (int)(err), (int)expect_got_,                      \
                     expect_got_ != TRP_OK ? why.message : "done");                                                    \
    } while (0)
extern trp_error why;

#endif
