# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The registry of findings: codes, severities, texts, and their descriptions in the documentation.

A rule names a code and passes the facts, as in ``LOADING.finding("no-btf", "sets")``.  The tables
here turn these into the message; the tables in the documentation are generated from the same rows.
They are in the lowest layer, because the format, the checks and builds all report findings.
"""
