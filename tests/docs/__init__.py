# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The documentation: it builds, its links hold, and what it shows is so."""
