"""Drives, tokens, policies and rules of the minio role."""

import base64
import hashlib
import hmac
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

PLUGINS = Path(__file__).parents[3] / "ansible/plugins"


def plugin(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"minio_{path.partition('/')[0]}", PLUGINS / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


filters, state = plugin("filter/minio.py"), plugin("modules/minio_state.py")


@pytest.mark.parametrize(
    ("volumes", "count", "folders", "hosts"),
    [
        (["/srv/minio"], 1, ["/srv/minio"], []),
        (["/mnt/drive{1...4}"], 4, ["/mnt/drive1", "/mnt/drive2", "/mnt/drive3", "/mnt/drive4"], []),
        (
            ["https://m{1...4}.example.org:9000/d{01...02}"],
            8,
            ["/d01", "/d02"],
            [f"m{n}.example.org" for n in range(1, 5)],
        ),
        (["http://a/d", "http://b/d"], 2, ["/d"], ["a", "b"]),
    ],
)
def test_patterns_tell_drives_folders_and_hosts(
    volumes: list[str], count: int, folders: list[str], hosts: list[str]
) -> None:
    found = filters.minio_drives(volumes)
    assert (found["count"], found["folders"], found["hosts"]) == (count, folders, hosts)


def test_the_token_is_signed_by_the_password() -> None:
    head, claims, signature = filters.minio_metrics_token("exporter", "a-password").split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (decoded["sub"], decoded["iss"]) == ("exporter", "prometheus")
    expected = hmac.digest(b"a-password", f"{head}.{claims}".encode(), hashlib.sha512)
    assert base64.urlsafe_b64decode(signature + "==") == expected


def test_a_user_s_policy_names_its_buckets_only() -> None:
    told = state.policy({"write": ["aisha"], "read": ["backups"], "metrics": False})["Statement"]
    assert {arn for each in told for arn in each["Resource"]} == {
        "arn:aws:s3:::aisha",
        "arn:aws:s3:::aisha/*",
        "arn:aws:s3:::backups",
        "arn:aws:s3:::backups/*",
    }
    written = {each["Resource"][0] for each in told if "s3:PutObject" in each["Action"]}
    assert written == {"arn:aws:s3:::aisha/*"}


def test_policies_are_compared_whatever_their_order() -> None:
    wanted = state.policy({"write": ["b", "a"], "read": [], "metrics": True})
    shuffled = [
        {name: value[::-1] if isinstance(value, list) else value for name, value in each.items()}
        for each in wanted["Statement"][::-1]
    ]
    assert state.comparable({"Statement": shuffled}) == state.comparable(wanted)
    assert state.comparable({"Statement": shuffled[1:]}) != state.comparable(wanted)


def test_rules_are_read_back_as_they_were_written() -> None:
    wanted = [("recordings/", 30), ("segments/", 7)]
    document = state.lifecycle(wanted)
    assert state.present_rules(document) == wanted
    assert state.present_rules(document.replace(f' xmlns="{state.XMLNS}"'.encode(), b"")) == wanted


def test_a_disabled_rule_counts_as_none() -> None:
    document = state.lifecycle([("", 1)]).replace(b"Enabled", b"Disabled")
    assert state.present_rules(document) == []


@pytest.mark.parametrize(
    ("present", "wanted", "changes"),
    [
        ({}, 0, []),
        ({"quota": 0, "size": 0}, 5, ["set quota of bucket aisha"]),
        ({"quota": 5 * 2**20, "size": 5 * 2**20}, 5, []),
        ({"quota": 5 * 2**20}, 0, ["set quota of bucket aisha"]),
    ],
)
def test_a_quota_is_set_where_it_differs(present: dict[str, int], wanted: int, changes: list[str]) -> None:
    sent: list[bytes] = []

    class Server:
        def admin(self, *_: object) -> bytes:
            return json.dumps(present).encode()

        def request(self, _: str, path: str, query: dict[str, str], body: bytes) -> None:
            assert (path, query) == ("/minio/admin/v3/set-bucket-quota", {"bucket": "aisha"})
            sent.append(body)

    changing = state.State(Server(), dry=False)
    changing.quota("aisha", wanted * 2**20)
    assert changing.changes == changes
    assert [json.loads(body)["size"] for body in sent] == [wanted * 2**20] * len(changes)


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = f"/dev/a / ext4 rw 0 0\n/dev/b {tmp_path} xfs rw 0 0\n"
    assert state.file_system(str(tmp_path / "drive"), mounts) == "xfs"
    assert state.file_system("/elsewhere", mounts) == "ext4"
