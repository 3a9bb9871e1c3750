# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The built-in passes, written like third-party plugins: they import only public names."""
