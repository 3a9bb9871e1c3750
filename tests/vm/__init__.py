# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules loaded into real kernels, which run in virtual machines without KVM."""
