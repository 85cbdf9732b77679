/* bad_empty.c - a shared object that is no module. */
extern const int nothing_to_see_here;
const int nothing_to_see_here = 1;
