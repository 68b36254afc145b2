"""Start a verb before its services answer: `python -m aisha_embedded.ahead VERB ...`.

Importing the bot takes seconds, which would otherwise come after the services' start. The verb's module is
imported first, then one line is read from standard input: a JSON object with the environment that settings are
read from. If the input ends without a line, the process exits: its supervisor is gone.
"""

import gc
import json
import os
import sys

from aisha.speech.allocator import prefer_fast_allocator


def main() -> None:
    """Import, wait for the environment, become the verb."""
    if sys.argv[1] == "worker":
        prefer_fast_allocator()  # this restarts the process, so before the line is read
    gc.disable()  # imports leave little garbage, and collecting it takes a quarter of their time
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
