"""`python -m gristmill` is `gristmill`."""

import sys

from gristmill.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
