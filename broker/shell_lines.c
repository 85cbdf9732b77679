/*
 * shell_lines.c - what hosts print, on its way to the drivers that they work for. A driver that does not read (it may be
 * stopped: that is legal) has a bounded number of bytes of lines on their way; what is beyond is counted, and the count is
 * told when it reads again.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void
post_line(struct tri_member *reader, const struct tri_log_line *line)
{
    const struct tri_route route = {.kind = TRI_LOG};
    struct tri_shell *shell = reader->shell;
    struct tri_printed *printed = &reader->printed;
    trp_error error;
    if (tri_log_pack(&shell->packed, line, &error) != TRP_OK) {
        tri_log(TRI_WARNING, "a line of (%s pid=%d) is lost: %s", line->actor, line->pid, error.message);
        return;
    }
    tri_member_post(reader, &route, &shell->packed.section, 1, &printed->newer_packet);
    printed->newer += shell->packed.section.size;
    shell->busy = true;
}

/* Bytes are counted in two lots, each with the packet of its last line: a lot is over when that is acknowledged. */
static bool
has_room(struct tri_member *reader)
{
    struct tri_printed *printed = &reader->printed;
    if (reader->channel.session.peer_acknowledged >= printed->older_packet) {
        printed->older = printed->newer;
        printed->older_packet = printed->newer_packet;
        printed->newer = 0;
    }
    return printed->older + printed->newer < TRI_PRINTED_BYTES;
}

void
tri_member_left_out(struct tri_member *reader)
{
    struct tri_printed *printed = &reader->printed;
    char text[96];
    if (printed->left_out == 0 || !has_room(reader))
        return;
    snprintf(text, sizeof text, "... %" PRIu64 " lines left out, as this process did not read", printed->left_out);
    printed->left_out = 0;
    post_line(reader, &(struct tri_log_line){.actor = "troupe", .pid = (int32_t)getpid(), .text = text});
}

void
tri_shell_line(struct tri_shell *shell, uint64_t token, int32_t pid, bool is_stderr, const char *text)
{
    const char *label = NULL;
    tri_peer_index index = tri_core_log_reader(shell->core, token, &label);
    struct tri_member *reader = index != TRI_NO_PEER ? tri_member_at(shell, index) : NULL;
    const struct tri_log_line line = {
        .actor = label != NULL && label[0] != '\0' ? label : "host", .pid = pid, .is_stderr = is_stderr, .text = text};
    if (reader == NULL) {
        enum tri_level level = is_stderr ? TRI_WARNING : TRI_INFO;
        text = tri_log_text(text, &level);
        tri_log(level, "(%s pid=%d) %s", line.actor, pid, text);
        return;
    }
    tri_member_left_out(reader);
    if (has_room(reader))
        post_line(reader, &line);
    else
        reader->printed.left_out++;
}
