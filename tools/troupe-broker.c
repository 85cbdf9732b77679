/* troupe-broker.c - the program of a node's broker. The root starts it. */
#include "broker/broker.h"

int
main(int argc, char **argv)
{
    return tri_broker_main(argc, argv);
}
