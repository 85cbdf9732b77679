/*
 * packet.h - how packets are put together, for the files of transport/ only. Pure.
 */
#ifndef TRI_PACKET_H
#define TRI_PACKET_H

#include "transport/transport.h"

/* What an envelope of these sections takes of a packet. TRP_ELIMIT: more than a packet carries. */
struct tri_measure {
    size_t size;          /* in the batch, at most, without its places */
    uint32_t frame_count; /* with those that only their place is said of */
    uint64_t frame_bytes; /* of those that are sent */
    uint32_t place_bytes; /* of the others, at the end of the batch */
};
trp_err tri_packet_measure(const struct tri_section *sections, uint32_t section_count, struct tri_measure *measure,
                           trp_error *error);
/* Appends the frames of large sections, by reference where they lie in one. TRP_ENOMEM: none were. */
trp_err tri_packet_add_frames(struct tri_packet *packet, const struct tri_section *sections, uint32_t section_count,
                              trp_error *error);
/* Writes the places behind the batch's envelopes (tri_packet_measure counts them) and its head, not numbered. */
void tri_packet_finish(struct tri_packet *packet, uint32_t envelope_count);

#endif
