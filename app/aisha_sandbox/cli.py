"""The verb `aisha sandbox`."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click

from aisha import logs, settings
from aisha_sandbox.files import CLOUD_FILE_LIMIT
from aisha_sandbox.server import Sandbox


@click.command("sandbox")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of its state. Default: sandbox/ in the data folder.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 is any. Default: AISHA_WEB_PORT, else 8080."
)
@click.option("--strict-port", is_flag=True, help="Fail when the port is taken, instead of trying the next.")
@click.option(
    "--file-limit",
    type=click.IntRange(0),
    default=CLOUD_FILE_LIMIT,
    show_default=True,
    help="Largest file that getFile serves, in bytes; 0 behaves as a Bot API server with --local.",
)
@click.option(
    "--bot-api-address",
    metavar="ADDRESS",
    help="An address of this machine where bots on other machines reach the Bot API and nothing else.",
)
def sandbox_command(
    data_dir: Path | None, port: int | None, strict_port: bool, file_limit: int, bot_api_address: str | None
) -> None:
    """Run the local Bot API server with its web chat, on this machine only."""
    loaded = settings.load()
    logs.configure(loaded, "sandbox")
    folder = data_dir or loaded.data_dir / "sandbox"
    serving = Sandbox.open(
        folder,
        loaded.web_port if port is None else port,
        file_limit=file_limit,
        strict_port=strict_port,
        bot_api_address=bot_api_address,
    )
    asyncio.run(_serve(serving))


async def _serve(serving: AbstractAsyncContextManager[Sandbox]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with serving as sandbox:
        click.echo(f"ready {sandbox.url}")
        await stop.wait()
