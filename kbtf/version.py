# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The version of kbtf; the root meson.build reads it from here."""

VERSION = "0.1.0"
