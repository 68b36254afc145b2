"""Start a verb before its services answer: `python -m aisha_embedded.ahead VERB ...`.

Importing the bot takes seconds, which would otherwise come after the services' start. The verb's module is
imported first, then one line is read from standard input: a JSON object with the environment that settings are
read from. At its end without a line the process ends too: its supervisor has gone.
"""

import gc
import json
import os
import sys

from aisha.speech.allocator import prefer_fast_allocator


def main() -> None:
    """Import, wait for the environment, become the verb."""
    if sys.argv[1] == "worker":
        prefer_fast_allocator()  # this starts the process anew, so before the line is read
    gc.disable()  # imports make no garbage worth looking for; a quarter of their time
    import click

    from aisha import cli

    cli.cli.get_command(click.Context(cli.cli), sys.argv[1])
    gc.freeze()
    gc.enable()
    line = sys.stdin.readline()
    if not line:
        return
    os.environ.update(json.loads(line))
    cli.main()


if __name__ == "__main__":
    main()
