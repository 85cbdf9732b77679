/* bad_name.c - module in bad_name.so that calls itself otherwise. */
#include <troupe/module.h>

extern TRP_API const trp_module troupe_module_bad_name;
const trp_module troupe_module_bad_name = {.stamp = TRP_STAMP_, .name = "good_name"};
