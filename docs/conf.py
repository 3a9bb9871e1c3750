# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The site of these pages: sphinx-build -W --keep-going -n docs OUT, with kbtf[docs] installed."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "kbtf"
project_copyright = "2026 The kbtf authors"
version = release = version_of("kbtf")
extensions = ["myst_parser", "sphinx.ext.autodoc", "drawings", "fields", "generated", "outside"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["attrs_inline", "deflist"]
smartquotes = False  # it would make -- of options a dash
myst_heading_anchors = 3

autodoc_member_order = "bysource"
nitpick_ignore_regex = [
    # Internal names in public signatures; the reference does not document them.
    ("py:class", r"kbtf\.[a-z]\w*\..+"),
    ("py:class", r"[A-Z]\w*"),
    # Other projects' documentation is not linked: looking it up would require a network.
    ("py:class", r"argparse\.ArgumentParser|mmap\.mmap|subprocess\.CompletedProcess"),
]

html_theme = "furo"
html_title = f"kbtf {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
