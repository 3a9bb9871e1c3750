# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as text, documents and a page."""
