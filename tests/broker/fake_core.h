/* fake_core.h - where the core that stands in says its events: a line each. */
#ifndef FAKE_CORE_H
#define FAKE_CORE_H

#include "broker/core/core.h"

extern int fake_core_out;

#endif
