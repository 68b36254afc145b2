"""Names of an inventory become rules of a firewall."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

firewall = runpy.run_path(str(Path(__file__).parents[3] / "ansible" / "plugins" / "filter" / "firewall.py"))

GROUPS = {"bots": ["one", "two"], "workers": ["two", "three"], "nobody": []}
HOSTVARS = {
    "one": {"base_address": ["10.0.0.1", "2001:db8::1"], "ansible_host": "198.51.100.1"},
    "two": {"ansible_host": "10.0.0.2"},
    "three": {
        "ansible_host": "three.example.org",
        "ansible_facts": {"default_ipv4": {"address": "10.0.0.3"}},
    },
    "unknown": {"ansible_host": "unknown.example.org"},
}


def sources(*names: str) -> dict[str, list[str]]:
    return firewall["firewall_sources"](names, GROUPS, HOSTVARS)


def rules(**allowed: Any) -> list[str]:
    return firewall["firewall_rules"]([allowed], GROUPS, HOSTVARS)


def problems(**allowed: Any) -> list[str]:
    return firewall["firewall_problems"]([allowed], GROUPS, HOSTVARS)


@pytest.mark.parametrize(
    ("name", "ip", "ip6"),
    [
        ("10.1.2.3", ["10.1.2.3"], []),
        ("10.1.2.3/24", ["10.1.2.0/24"], []),
        ("2001:db8::/32", [], ["2001:db8::/32"]),
        ("any", ["0.0.0.0/0"], ["::/0"]),
        ("one", ["10.0.0.1"], ["2001:db8::1"]),
        ("two", ["10.0.0.2"], []),
        ("three", ["10.0.0.3"], []),
        ("workers", ["10.0.0.2/31"], []),
        ("nobody", [], []),
    ],
)
def test_a_name_stands_for_addresses(name: str, ip: list[str], ip6: list[str]) -> None:
    assert sources(name) == {"ip": ip, "ip6": ip6}


def test_what_overlaps_is_merged() -> None:
    assert sources("10.0.0.0/24", "bots", "workers", "10.0.0.0/25") == {
        "ip": ["10.0.0.0/24"],
        "ip6": ["2001:db8::1"],
    }


def test_a_base_address_may_be_one_string() -> None:
    assert firewall["firewall_sources"](["h"], {}, {"h": {"base_address": "10.9.9.9"}})["ip"] == ["10.9.9.9"]


def test_a_loopback_ansible_host_is_nobody_elses_way_there() -> None:
    host = {"ansible_host": "127.0.0.1", "ansible_facts": {"default_ipv4": {"address": "10.0.0.4"}}}
    assert firewall["firewall_sources"](["h"], {}, {"h": host})["ip"] == ["10.0.0.4"]


def test_a_name_that_is_nothing_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="'databse' is no address, no network, and no group or host"):
        sources("databse")


def test_a_host_without_an_address_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="the address of unknown is not known: set its base_address"):
        sources("unknown")


def test_each_family_has_a_rule() -> None:
    assert rules(ports=[9100, 80, 80], **{"from": ["bots"]}, comment='the "bots"') == [
        "ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport { 80, 9100 } accept comment \"the 'bots'\"",
        "ip6 saddr { 2001:db8::1 } tcp dport { 80, 9100 } accept comment \"the 'bots'\"",
    ]


def test_anyone_needs_no_source() -> None:
    assert rules(ports=[53], **{"from": ["any"]}, protocol="udp") == ["udp dport { 53 } accept"]


def test_an_empty_group_opens_nothing() -> None:
    assert rules(ports=[5432], **{"from": ["nobody"]}) == []
    assert rules(ports=[5432], **{"from": []}) == []


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"ports": [1]}, ["item 0 has no 'from'"]),
        ({"from": ["any"]}, ["item 0 has no 'ports'"]),
        ({"ports": [], "from": ["any"]}, ["item 0 has no ports"]),
        (
            {"ports": [0, "ssh", 65536], "from": ["any"]},
            [f"item 0: {p!r} is no port" for p in (0, "ssh", 65536)],
        ),
        (
            {"ports": [1], "from": ["any"], "protocol": "icmp"},
            ["item 0: protocol is 'icmp' and not one of tcp, udp"],
        ),
        ({"ports": [1], "from": ["bots"]}, []),
    ],
)
def test_problems_are_told(allowed: dict, said: list[str]) -> None:
    assert problems(**allowed) == said


def test_all_unknown_names_are_told_at_once() -> None:
    assert len(problems(ports=[1], **{"from": ["bots", "databse", "unknown"]})) == 2


@pytest.mark.parametrize(
    ("address", "covered"),
    [
        ("10.0.0.2", True),
        ("::ffff:10.0.0.2", True),
        ("10.0.0.9", False),
        ("2001:db8::1", True),
        ("2001:db8::2", False),
    ],
)
def test_an_address_is_covered_or_not(address: str, covered: bool) -> None:
    assert firewall["firewall_covers"](["bots"], address, GROUPS, HOSTVARS) is covered


def test_a_hosts_own_address() -> None:
    assert firewall["host_address"]("h", {"h": {"base_address": ["10.9.9.9", "fd00::9"]}}) == "10.9.9.9"
