# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kfunc sets of modules, and the kfuncs and variables that BPF objects use."""
