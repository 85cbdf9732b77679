/*
 * troupe-node.c - the program of the root process. It brings together what may not know each other: the root (broker/node)
 * and the code that a host runs after its fork (actors/).
 */
#include "actors/actors.h"
#include "broker/broker.h"

int
main(int argc, char **argv)
{
    trp_worker_warm();
    return tri_root_main(argc, argv, trp_worker_main, NULL);
}
