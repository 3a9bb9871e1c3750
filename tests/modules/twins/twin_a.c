// SPDX-License-Identifier: GPL-2.0-only
#define TWIN a
#define NUMBER 1
#include "twin.h"
