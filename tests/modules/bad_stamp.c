/* bad_stamp.c - module "bad_stamp": says that it was built for another version. */
#include <troupe/module.h>

extern TRP_API const trp_module troupe_module_bad_stamp;
const trp_module troupe_module_bad_stamp = {
    .stamp = {TRP_ABI + 0x10000, sizeof(void *), sizeof(trp_value), sizeof(trp_module), sizeof(trp_class) + 8,
              sizeof(trp_method), sizeof(trp_function)},
    .name = "bad_stamp",
};
