"""kbtf inside Kbuild: around make, and in the place of the tools that Kbuild calls."""
