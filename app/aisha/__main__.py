"""`python -m aisha` is the `aisha` command."""

from aisha.cli import main

main()
