"""The command `retrodict`."""

import signal
import sys

from . import _native


def main() -> None:
    """Runs the command line of this process."""
    # Python's handler only sets a flag, which native code does not read.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.command(["retrodict", *sys.argv[1:]]))
