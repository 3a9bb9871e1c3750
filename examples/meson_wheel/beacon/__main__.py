# SPDX-License-Identifier: GPL-2.0-only
"""``beacon``: lists the kernels that have a module, or loads it."""

import sys

import beacon


def main() -> None:
    """``beacon list`` or ``beacon load``."""
    match sys.argv[1:]:
        case ["list"]:
            print(*beacon.releases(), sep="\n")
        case ["load"]:
            try:
                beacon.load()
            except LookupError as error:
                sys.exit(f"beacon: {error}")
        case _:
            sys.exit("usage: beacon list|load")


if __name__ == "__main__":
    main()
