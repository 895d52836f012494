/* The header of PKCS#11 3.0, with what this module adds to it. */
#pragma once

/* The functions of the standard are what the module exports. */
#pragma GCC visibility push(default)
#include <pkcs11.h>
#pragma GCC visibility pop

#include "cloudhsm_pkcs11_vendor_defs.h"
