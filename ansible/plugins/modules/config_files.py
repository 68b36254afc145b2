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
  - Files belong to root. Folders that are missing are made with mode 0755.
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: path, required: true}
      content: {description: What it says; without it only the mode of a file that exists is set., type: str}
      mode: {description: Its mode., type: str, default: '0644'}
      validate: {description: 'A command that accepts it; %s is where it lies until then.', type: list, elements: str}
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
  description: The files that were not as wanted.
  type: list
  elements: str
  returned: always
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

APPLIED = Path("/var/lib/aisha/applied")
ROOT = (0, 0)


def differs(file: dict) -> bool:
    """Tell whether a file is not as wanted."""
    path = Path(file["path"])
    if not path.is_file():
        return file["content"] is not None
    status = path.stat()
    as_wanted = status.st_mode & 0o7777 == int(file["mode"], 8) and (status.st_uid, status.st_gid) == ROOT
    return not as_wanted or (file["content"] is not None and path.read_bytes() != file["content"].encode())


def write(file: dict) -> None:
    """Put a file in its place, whole and with its mode from the first moment."""
    path = Path(file["path"])
    if file["content"] is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        number, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(number, "wb") as stream:
            stream.write(file["content"].encode())
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(partial, int(file["mode"], 8))
        os.replace(partial, path)
    os.chown(path, *ROOT)
    os.chmod(path, int(file["mode"], 8))


def refusal(module: AnsibleModule, file: dict) -> str | None:
    """Return what a file's command says against it."""
    if not file["validate"]:
        return None
    with tempfile.NamedTemporaryFile(dir=module.tmpdir, prefix="new.") as candidate:  # mode 0600
        candidate.write(file["content"].encode())
        candidate.flush()
        status, out, error = module.run_command(
            [word.replace("%s", candidate.name) for word in file["validate"]]
        )
    said = (error or out).strip().replace(candidate.name, file["path"])
    return f"{file['path']} stays as it was, its new content is wrong: {said}" if status else None


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
        name = hashlib.sha256(" ".join(self.words or []).encode()).hexdigest()[:12]
        self.record = APPLIED / f"files-{name}.json"
        wanted = {
            file["path"]: hashlib.sha256((file["content"] or "").encode()).hexdigest()
            for file in module.params["files"]
        }
        self.present = json.dumps(wanted, indent=1, sort_keys=True)

    def is_due(self) -> bool:
        """Tell whether the files are others than those it was last run with; with none for the first time it is not."""
        if not self.words:
            return False
        applied = self.record.read_text() if self.record.exists() else json.dumps({})
        return applied != self.present

    def run(self) -> None:
        """Run it, and record that."""
        status, out, error = self.module.run_command(self.words)
        if status:
            self.module.fail_json(msg=f"{' '.join(self.words)}: {(error or out).strip()}")
        self.record.parent.mkdir(parents=True, exist_ok=True)
        partial = self.record.with_suffix(".partial")
        partial.write_text(self.present)
        os.replace(partial, self.record)


def main() -> None:
    """Check all, then write all."""
    strings = {"type": "list", "elements": "str"}
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "mode": {"type": "str", "default": "0644"},
        "validate": strings,
    }
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "purge": {"type": "list", "elements": "path", "default": []},
            "command": strings,
        },
    )
    command = Command(module)
    due = [each for each in module.params["files"] if differs(each)]
    unwanted = strangers(module.params["files"], module.params["purge"])
    diff = [diff_of(each) for each in due] + [{"before": f"{path}\n", "after": ""} for path in unwanted]
    must_run = command.is_due() or bool(command.words and (due or unwanted))
    if not module.check_mode:
        if problems := [said for each in due if (said := refusal(module, each))]:
            module.fail_json(msg="; ".join(problems))
        for each in due:
            write(each)
        for path in unwanted:
            path.unlink()
        if must_run:
            command.run()
    written = [each["path"] for each in due] + [str(path) for path in unwanted]
    module.exit_json(changed=bool(written or must_run), written=written, diff=diff)


if __name__ == "__main__":
    main()
