"""`python -m issuance.stack.launch COMMAND…`: run a command with the variables of stack.env.

The supervisor's own environment is fixed when it starts; a program started through here sees the file as it stands at
each start, and no secret stands in the supervisor's configuration or in a command line.
"""

from __future__ import annotations

import os
import sys

from issuance.settings import environment


def main() -> None:
    """Replace this process by the command, so that signals and the process id stay the supervisor's."""
    os.execvpe(sys.argv[1], sys.argv[1:], environment())


if __name__ == "__main__":
    main()
