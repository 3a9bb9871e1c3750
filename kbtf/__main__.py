# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``python -m kbtf`` is ``kbtf``."""

import sys

from kbtf.program import kbtf

sys.exit(kbtf())
