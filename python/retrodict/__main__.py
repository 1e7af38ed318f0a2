"""`python -m retrodict` is the command `retrodict`."""

from ._command import main

main()
