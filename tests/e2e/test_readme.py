"""What the README tells a newcomer to type works in a clean clone."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port
from media import samples, write
from tests.speech import prompts

from aisha_embedded.services import erase

REPOSITORY = Path(__file__).parents[2]
SERVERS = "needs servers and Ansible; the scenario of the whole site runs it"
ELSEWHERE = {
    "ansible-playbook -i inventories/production ansible/playbooks/secrets.yml": SERVERS,
    "ansible-playbook -i inventories/production site.yml": SERVERS,
    "ansible-playbook -i inventories/production ansible/playbooks/rollback.yml": SERVERS,
    "AISHA_BOT_TOKEN=123456:your-token make run": "needs a token of Telegram's",
    ".venv/bin/aisha models pull ru": "needs the vendor's site; its download is tested against a server of the tests'",
}


def commands() -> list[str]:
    """Return every command of the README's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clean clone, in which `make run` has been ready and was ended."""
    folder = tmp_path_factory.mktemp("newcomer") / "aisha"
    subprocess.run(["git", "clone", "-q", REPOSITORY, folder], check=True)
    ports = {name: str(free_port()) for name in ("WEB", "HEALTH", "WORKER_METRICS")}
    running = subprocess.Popen(
        ["make", "run"],
        cwd=folder,
        env=clean_environment() | {f"AISHA_{name}_PORT": port for name, port in ports.items()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    try:
        said = next((line for line in running.stdout if line.startswith("ready ")), "")
        assert said.strip() == f"ready http://127.0.0.1:{ports['WEB']}"
        yield folder
    finally:
        running.terminate()
        assert running.wait(60) in (0, -15, 2)
        erase(folder / ".local")


def clean_environment() -> dict[str, str]:
    return {
        k: v for k, v in os.environ.items() if not k.startswith(("AISHA_", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
    }


def test_every_command_of_the_readme_is_run_here_or_excused() -> None:
    assert "make run" in commands()
    assert set(commands()) >= set(ELSEWHERE)


@pytest.mark.timeout(600)
def test_the_commands_work_in_a_clean_clone(clone: Path) -> None:
    weasels = next(clip for clip in prompts() if clip.path.stem == "tt-weasels")
    write(clone / "lecture.mp4", samples(weasels.path), codec="aac")
    write(clone / "one.ogg", samples(weasels.path))
    write(clone / "two.ogg", samples(prompts()[0].path))
    for command in commands():
        if command in ELSEWHERE or command in ("make run", "make test-fast", "make test"):
            continue
        done = subprocess.run(
            ["bash", "-c", command], cwd=clone, env=clean_environment(), capture_output=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    assert "phone system" in (clone / "lecture.srt").read_text()
    assert "-->" in (clone / "lecture.srt").read_text()
