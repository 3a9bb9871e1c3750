# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Links to files of the project that are no pages: only their text is on the site."""

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)\)")


def keep_text(app: Any, page: str, source: list[str]) -> None:
    """Replace links that lead out of docs/ by their text; one that leads nowhere stays, to fail."""
    root = Path(app.srcdir)
    folder = (root / page).parent

    def text(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        return link[1] if target.exists() and not target.is_relative_to(root) else link[0]

    source[0] = LINK.sub(text, source[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", keep_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
