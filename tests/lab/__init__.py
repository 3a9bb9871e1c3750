# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel lab: Debian 13 in a directory, with headers of 7.x kernels, and those kernels."""
