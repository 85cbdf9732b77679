/* troupe-broker.c - the program of a node's broker. The root starts it. */
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"

int
main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("usage: troupe-broker DIR\n\n"
               "The broker of the node in DIR. troupe-node starts it, and talks to it over descriptor 3.\n"
               "Exit status: 0 it ended in order, 1 it could not start, 2 it was not started by troupe-node.\n");
        return 0;
    }
    return tri_broker_main(argc, argv);
}
