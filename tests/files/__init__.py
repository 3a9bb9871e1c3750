# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Files that are read and replaced."""
