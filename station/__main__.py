"""``python -m station``: the live station."""

from __future__ import annotations

import sys

import process_setup  # noqa: F401  before NumPy is loaded
from errors import refuse_to_start

try:
    from station.command_line import main
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("station", error))

if __name__ == "__main__":
    sys.exit(main())
