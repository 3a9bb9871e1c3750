# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The installed kernels and modules, and what the next boot does with them."""
