"""A separate process for what is to be killed: `run` (with the stub app) or `services DATA_DIR`."""

import asyncio
import json
import sys
from pathlib import Path

from aisha import logs
from aisha.errors import AishaError
from aisha.settings import load
from aisha_embedded.run import Run
from aisha_embedded.services import Services

STUB = Path(__file__).with_name("stub_app.py")


def stub(*arguments: str) -> list[str]:
    return [sys.executable, "-S", str(STUB), *arguments]


async def services(data_dir: Path) -> None:
    async with Services.start(data_dir) as started:
        print(json.dumps({"environment": started.environment, "pids": started.pids}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    logs.configure(load(), "run")
    try:
        asyncio.run(Run(load(), stub, stub)() if sys.argv[1] == "run" else services(Path(sys.argv[2])))
    except AishaError as error:
        sys.exit(f"aisha: {error}")
