"""``python -m wcas``: the program, from this environment."""

import os
import sys

from wcas._program import find_program


def main() -> None:
    """Become the program."""
    try:
        program = find_program()
    except FileNotFoundError as error:
        sys.exit(f"wcas: {error}")
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
