# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Puts SVG files into the pages, so that they take on the colours of the page."""

from pathlib import Path
from typing import Any

from docutils import nodes


def put_in(app: Any, doctree: nodes.document) -> None:
    """Replace each image that is an SVG file by its contents, in a frame that can scroll."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            svg = (Path(app.srcdir) / image["uri"]).read_text()
            app.env.note_dependency(image["uri"])
            frame = f'<div class="drawing-frame">{svg}</div>'
            image.replace_self(nodes.raw("", frame, format="html"))


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-read", put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
