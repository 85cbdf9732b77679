/*
 * link.h - what the implementations of links share, for the files of transport/ only.
 */
#ifndef TRI_LINK_H
#define TRI_LINK_H

#include "transport/transport.h"

/* link_zmq.c: one implementation serves all three schemes. */
extern const struct tri_link_ops tri_link_ipc, tri_link_inproc, tri_link_tcp;

/* ipc paths and side doors are UNIX sockets: their addresses hold so many bytes. */
enum { TRI_SOCKET_PATH_MAX = 107 };

#endif
