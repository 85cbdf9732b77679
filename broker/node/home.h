/*
 * home.h - what the broker's shell may do in the node's directory when the root is gone (home.c).
 */
#ifndef TRI_HOME_H
#define TRI_HOME_H

/* Removes what a node whose root was killed has left, unless another has taken the directory. */
void tri_home_remove_dead(const char *path, int root_pid);

#endif
