#!/usr/bin/python
"""Write many small files in one go, all of them or none."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Write many small files in one go, all of them or none
description:
  - One round trip for a list of files, where the template module needs two for each.
  - Every file is validated by its command before the first is replaced, so an error in one leaves all unchanged.
    Check mode validates nothing, because the packages with the commands may not be installed.
  - Missing folders are created with mode 0755, owned by root.
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: path, required: true}
      content: {description: Its content; without it only mode and owner of an existing file are set., type: str}
      settings: {description: 'Lines `NAME VALUE` to set in an existing file; its other lines stay.', type: dict}
      mode: {description: Its mode., type: str, default: '0644'}
      owner: {description: Its owner., type: str, default: root}
      group: {description: Its group., type: str, default: root}
      validate: {description: 'A command that checks it before it is put in place; %s is the temporary file.', type: list, elements: str}
  folders:
    description: Folders to create before the files are validated and written.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: path, required: true}
      mode: {description: Its mode., type: str, default: '0755'}
      owner: {description: Its owner., type: str, default: root}
      group: {description: Its group., type: str, default: root}
  purge: {description: Folders from which all other files are removed., type: list, elements: path, default: []}
  command:
    description:
      - A command to run when the files differ from those it last ran with. Its success is recorded only afterwards, so a
        killed run is completed by the next one.
    type: list
    elements: str
author: [Aisha]
"""
EXAMPLES = r"""
- name: Trust another CA
  config_files:
    files:
      - {path: /usr/local/share/ca-certificates/ours/root.crt, content: "{{ root_certificate }}"}
    purge: [/usr/local/share/ca-certificates/ours]
    command: [update-ca-certificates]
"""
RETURN = r"""
written:
  description: The files and folders that were changed.
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
    """Return the uid and gid of a file's owner and group; None when there is no such user or group."""
    try:
        return pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError:
        return None


def is_as_wanted(wanted: dict) -> bool:
    """Tell whether an existing file or folder has the wanted mode and owner."""
    status = Path(wanted["path"]).stat()
    return (status.st_mode & 0o7777, (status.st_uid, status.st_gid)) == (
        int(wanted["mode"], 8),
        owner_of(wanted),
    )


def own(wanted: dict, path: Path) -> None:
    """Set owner and mode."""
    owner = owner_of(wanted)
    assert owner is not None  # put() has rejected files without an owner
    os.chown(path, *owner)
    path.chmod(int(wanted["mode"], 8))


def with_settings(text: str, settings: dict) -> str:
    """Return the text with a line for each setting: in place of its present line, or at the end."""
    for name, value in settings.items():
        line, place = f"{name} {value}", re.compile(rf"^{re.escape(name)}\s.*$", re.MULTILINE)
        text = place.sub(line, text) if place.search(text) else f"{text.rstrip()}\n{line}\n"
    return text


def differs(file: dict) -> bool:
    """Tell whether a file has to be changed."""
    path = Path(file["path"])
    if not path.is_file():
        return file["content"] is not None
    return not is_as_wanted(file) or (
        file["content"] is not None and path.read_bytes() != file["content"].encode()
    )


def make_folder(path: Path) -> None:
    """Create a folder and its parents, readable by all whatever the umask."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


def write(file: dict) -> None:
    """Replace a file atomically, with its owner and mode."""
    path = Path(file["path"])
    if file["content"] is not None:
        make_folder(path.parent)
        write_whole(path, file["content"], mode=int(file["mode"], 8), owner=owner_of(file))
    else:
        own(file, path)


def refusal(module: AnsibleModule, file: dict) -> str | None:
    """Return why a file's command rejects it."""
    if not file["validate"]:
        return None
    with tempfile.NamedTemporaryFile(dir=module.tmpdir, prefix="new.") as candidate:  # mode 0600
        candidate.write(file["content"].encode())
        candidate.flush()
        try:
            run(*(word.replace("%s", candidate.name) for word in file["validate"]))
        except CommandError as error:
            said = error.said.replace(candidate.name, file["path"])
            return f"{file['path']} stays as it was, its new content is invalid: {said}"
    return None


def strangers(files: list[dict], folders: list[str]) -> list[Path]:
    """Return the files below the folders that are not in the list."""
    known = {file["path"] for file in files}
    return sorted(
        each
        for folder in folders
        for each in Path(folder).rglob("*")
        if each.is_file() and str(each) not in known
    )


def diff_of(file: dict) -> dict:
    """Return the diff of a change for Ansible."""
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
    """The command that applies the files, and the record of those it last ran with."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.words = module, module.params["command"]
        self.record = f"files-{of_text(' '.join(self.words or []))[:12]}"
        self.present = {file["path"]: of_text(file["content"] or "") for file in module.params["files"]}

    def is_due(self) -> bool:
        """Tell whether the files differ from those it last ran with; the first time with no files they do not."""
        return bool(self.words) and applied(self.record) != self.present

    def run(self) -> None:
        """Run it, and record the files."""
        try:
            run(*self.words)
        except CommandError as error:
            self.module.fail_json(msg=str(error))
        remember(self.record, self.present)


def specification() -> dict:
    """Return the argument specification."""
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
    """Validate all, then write all."""
    if nobody := [each for each in places + due if owner_of(each) is None]:
        module.fail_json(
            msg="; ".join(
                f"{each['path']} is for {each['owner']}:{each['group']}, and this host has no such user or group"
                for each in nobody
            )
        )
    for each in places:  # before validation: a command may need them
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
