# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The peers whose results and speed are compared with ours."""
