# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf inside Kbuild: around make, and as stand-ins for the tools that Kbuild calls."""
