// SPDX-License-Identifier: GPL-2.0-only
#define TWIN b
#define NUMBER 2
#include "twin.h"
