"""``python -m hikyaku``: the `hikyaku` command, where it is installed."""

from __future__ import annotations

import os
import shutil
import sys


def main() -> None:
    """Becomes the command, which the wheel does not contain."""
    command = shutil.which("hikyaku")
    if command is None:
        sys.exit(
            "hikyaku: the command is not installed: cargo install --path crates/cli in the "
            "repository"
        )
    os.execv(command, [command, *sys.argv[1:]])


if __name__ == "__main__":
    main()
