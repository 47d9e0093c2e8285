"""``python -m hikyaku``: the `hikyaku` command, where it is installed."""

from __future__ import annotations

import os
import shutil
import sys


def command() -> str | None:
    """Returns the path of the command: beside this Python, or anywhere on PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "hikyaku")
    return shutil.which(beside) or shutil.which("hikyaku")


def main() -> None:
    """Becomes the command, which the wheel does not contain."""
    found = command()
    if found is None:
        sys.exit(
            "hikyaku: this package has the library, and the command is installed by itself: "
            "`cargo install --path crates/cli` in the repository.\n"
            "Help on the library: python -c 'import hikyaku; help(hikyaku)'"
        )
    os.execv(found, [found, *sys.argv[1:]])


if __name__ == "__main__":
    main()
