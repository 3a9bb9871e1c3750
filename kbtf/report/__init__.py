# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Output of results for people, scripts and CI systems."""
