#!/usr/bin/python
"""Write many small files in one go, all of them or none."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write many small files in one go, all of them or none
description:
  - One round trip for a list of files, where the module template needs two for each.
  - Every file is checked by its command before the first is replaced, so that a mistake in one leaves all as they were.
    Nothing is checked in check mode, where the packages that bring the commands may be missing.
  - Folders that are missing are made with mode 0755, as root's.
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: path, required: true}
      content: {description: What it says; without it only the mode of a file that exists is set., type: str}
      settings: {description: 'Lines `NAME VALUE` to have in a file that exists; its other lines stay.', type: dict}
      mode: {description: Its mode., type: str, default: '0644'}
      owner: {description: Whose it is., type: str, default: root}
      group: {description: Its group., type: str, default: root}
      validate: {description: 'A command that accepts it; %s is where it lies until then.', type: list, elements: str}
  folders:
    description: Folders to have before the files are checked and written.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: path, required: true}
      mode: {description: Its mode., type: str, default: '0755'}
      owner: {description: Whose it is., type: str, default: root}
      group: {description: Its group., type: str, default: root}
  purge: {description: Folders in which no other files may be., type: list, elements: path, default: []}
  command:
    description:
      - A command to run when the files differ from those it was last run with. That is recorded after it has succeeded, so
        a run that was killed in between is made good by the next one.
    type: list
    elements: str
author: [Aisha]
"""
EXAMPLES = r"""
- name: Trust another authority
  config_files:
    files:
      - {path: /usr/local/share/ca-certificates/ours/root.crt, content: "{{ root_certificate }}"}
    purge: [/usr/local/share/ca-certificates/ours]
    command: [update-ca-certificates]
"""
RETURN = r"""
written:
  description: The files and folders that were not as wanted.
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd
import re
import tempfile
from pathlib import Path

from ansible.module_utils.applied import applied, remember
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.commands import CommandError, run
from ansible.module_utils.digests import of_text
from ansible.module_utils.files import write as write_whole


def owner_of(wanted: dict) -> tuple[int, int] | None:
    """Return the numbers of who shall have a file; nothing when there is no such user or group."""
    try:
        return pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError:
        return None


def is_as_wanted(wanted: dict) -> bool:
    """Tell whether something that exists has the mode and the owner that it shall have."""
    status = Path(wanted["path"]).stat()
    return (status.st_mode & 0o7777, (status.st_uid, status.st_gid)) == (
        int(wanted["mode"], 8),
        owner_of(wanted),
    )


def own(wanted: dict, path: Path) -> None:
    """Give it its owner and its mode."""
    owner = owner_of(wanted)
    assert owner is not None  # a file for nobody was refused
    os.chown(path, *owner)
    path.chmod(int(wanted["mode"], 8))


def with_settings(text: str, settings: dict) -> str:
    """Return the text with a line for each setting: in the place of the line that it has, else at the end."""
    for name, value in settings.items():
        line, place = f"{name} {value}", re.compile(rf"^{re.escape(name)}\s.*$", re.MULTILINE)
        text = place.sub(line, text) if place.search(text) else f"{text.rstrip()}\n{line}\n"
    return text


def differs(file: dict) -> bool:
    """Tell whether a file is not as wanted."""
    path = Path(file["path"])
    if not path.is_file():
        return file["content"] is not None
    return not is_as_wanted(file) or (
        file["content"] is not None and path.read_bytes() != file["content"].encode()
    )


def make_folder(path: Path) -> None:
    """Make a folder and those above it, readable by all whatever the umask."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


def write(file: dict) -> None:
    """Put a file in its place, whole and with its owner and mode from the first moment."""
    path = Path(file["path"])
    if file["content"] is not None:
        make_folder(path.parent)
        write_whole(path, file["content"], mode=int(file["mode"], 8), owner=owner_of(file))
    else:
        own(file, path)


def refusal(module: AnsibleModule, file: dict) -> str | None:
    """Return what a file's command says against it."""
    if not file["validate"]:
        return None
    with tempfile.NamedTemporaryFile(dir=module.tmpdir, prefix="new.") as candidate:  # mode 0600
        candidate.write(file["content"].encode())
        candidate.flush()
        try:
            run(*(word.replace("%s", candidate.name) for word in file["validate"]))
        except CommandError as error:
            said = error.said.replace(candidate.name, file["path"])
            return f"{file['path']} stays as it was, its new content is wrong: {said}"
    return None


def strangers(files: list[dict], folders: list[str]) -> list[Path]:
    """Return the files below the folders that are not among the files."""
    known = {file["path"] for file in files}
    return sorted(
        each
        for folder in folders
        for each in Path(folder).rglob("*")
        if each.is_file() and str(each) not in known
    )


def diff_of(file: dict) -> dict:
    """Return what Ansible shows of a change."""
    path = Path(file["path"])
    before = path.read_text(errors="replace") if path.is_file() else ""
    after = before if file["content"] is None else file["content"]
    header = f"{path} {path.stat().st_mode & 0o7777:04o}" if path.is_file() else f"{path} (absent)"
    return {
        "before": before,
        "after": after,
        "before_header": header,
        "after_header": f"{path} {file['mode']}",
    }


class Command:
    """The command that takes up the files, and the record of what it was last given."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.words = module, module.params["command"]
        self.record = f"files-{of_text(' '.join(self.words or []))[:12]}"
        self.present = {file["path"]: of_text(file["content"] or "") for file in module.params["files"]}

    def is_due(self) -> bool:
        """Tell whether the files are others than those it was last run with; with none for the first time it is not."""
        return bool(self.words) and applied(self.record) != self.present

    def run(self) -> None:
        """Run it, and record that."""
        try:
            run(*self.words)
        except CommandError as error:
            self.module.fail_json(msg=str(error))
        remember(self.record, self.present)


def specification() -> dict:
    """Return the options, as Ansible takes them."""
    strings = {"type": "list", "elements": "str"}
    text = {"type": "str"}
    place = {"path": {"type": "path", "required": True}, "owner": text | {"default": "root"}}
    place |= {"group": text | {"default": "root"}}
    folder = place | {"mode": text | {"default": "0755"}}
    file = place | {
        "content": text,
        "settings": {"type": "dict"},
        "mode": text | {"default": "0644"},
        "validate": strings,
    }
    return {
        "files": {"type": "list", "elements": "dict", "default": [], "options": file},
        "folders": {"type": "list", "elements": "dict", "default": [], "options": folder},
        "purge": {"type": "list", "elements": "path", "default": []},
        "command": strings,
    }


def put(module: AnsibleModule, places: list[dict], due: list[dict], unwanted: list[Path]) -> None:
    """Check all, then write all."""
    if nobody := [each for each in places + due if owner_of(each) is None]:
        module.fail_json(
            msg="; ".join(
                f"{each['path']} is for {each['owner']}:{each['group']}, and this host has no such user or group"
                for each in nobody
            )
        )
    for each in places:  # before the files are checked: a command may need them
        make_folder(Path(each["path"]))
        own(each, Path(each["path"]))
    if problems := [said for each in due if (said := refusal(module, each))]:
        module.fail_json(msg="; ".join(problems))
    for each in due:
        write(each)
    for path in unwanted:
        path.unlink()


def main() -> None:
    """Compare, and write what is due."""
    module = AnsibleModule(supports_check_mode=True, argument_spec=specification())
    files, folders = module.params["files"], module.params["folders"]
    for each in files:
        if each["settings"] and Path(each["path"]).is_file():
            each["content"] = with_settings(Path(each["path"]).read_text(), each["settings"])
    command = Command(module)
    places = [each for each in folders if not (Path(each["path"]).is_dir() and is_as_wanted(each))]
    due = [each for each in files if differs(each)]
    unwanted = strangers(files, module.params["purge"])
    diff = [{"before": "", "after": f"{each['path']} {each['mode']}\n"} for each in places]
    diff += [diff_of(each) for each in due] + [{"before": f"{path}\n", "after": ""} for path in unwanted]
    must_run = command.is_due() or bool(command.words and (due or unwanted))
    if not module.check_mode:
        put(module, places, due, unwanted)
        if must_run:
            command.run()
    written = [each["path"] for each in places + due] + [str(path) for path in unwanted]
    module.exit_json(changed=bool(written or must_run), written=written, diff=diff)


if __name__ == "__main__":
    main()
