"""What a firewall needs to know of an inventory: who may reach which port, as nftables says it."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

ANYONE = "any"
EVERYWHERE = ("0.0.0.0/0", "::/0")
LONGEST_COMMENT = 120
PROTOCOLS = ("tcp", "udp")


def firewall_sources(names: Iterable[str], groups: Mapping, hostvars: Mapping) -> dict[str, list[str]]:
    """Return the addresses, as `ip` and `ip6`, of addresses, networks, groups and hosts of the inventory, or `any`.

    What overlaps is merged, because nftables refuses a set of which one part contains another.
    """
    networks = [network for name in names for network in networks_of(str(name), groups, hostvars)]
    return {
        family: [
            shortest(each)
            for each in ipaddress.collapse_addresses(n for n in networks if n.version == version)
        ]
        for family, version in (("ip", 4), ("ip6", 6))
    }


def networks_of(name: str, groups: Mapping, hostvars: Mapping) -> list:
    """Return the networks that one name stands for."""
    if name == ANYONE:
        return [ipaddress.ip_network(each) for each in EVERYWHERE]
    if name in groups:
        return [network for host in groups[name] for network in addresses_of(host, hostvars)]
    if name in hostvars:
        return addresses_of(name, hostvars)
    try:
        return [ipaddress.ip_network(name, strict=False)]
    except ValueError:
        message = f"{name!r} is no address, no network, and no group or host of the inventory"
        raise AnsibleFilterError(message) from None


def addresses_of(host: str, hostvars: Mapping) -> list:
    """Return a host's addresses: `base_address`, else `ansible_host` where that is one, else that of its default route."""
    variables = hostvars[host]
    told = variables.get("base_address") or []
    told = [told] if isinstance(told, str) else list(told)
    if found := [ipaddress.ip_network(each, strict=False) for each in told if is_address(each)]:
        return found
    facts = variables.get("ansible_facts") or {}
    default = facts.get("default_ipv4") or variables.get("ansible_default_ipv4") or {}
    for guess in (variables.get("ansible_host"), default.get("address")):
        if guess and is_address(guess) and not ipaddress.ip_address(guess).is_loopback:
            return [ipaddress.ip_network(guess)]
    message = f"the address of {host} is not known: set its base_address, or let the play gather its facts"
    raise AnsibleFilterError(message)


def host_address(host: str, hostvars: Mapping) -> str:
    """Return the address at which the other servers reach a host; the first where it has several."""
    return shortest(addresses_of(host, hostvars)[0])


def is_address(value: object) -> bool:
    """Tell whether a value is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def shortest(network: Any) -> str:
    """Return a network's text, a single address without its prefix."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def firewall_rules(allow: Iterable[Mapping], groups: Mapping, hostvars: Mapping) -> list[str]:
    """Return the rules of nftables for a list of {ports, from, protocol, comment}.

    One of which nobody is left, as of a group without hosts, makes no rule: it must not become a rule for everyone.
    """
    return [rule for each in allow for rule in rules_of(each, groups, hostvars)]


def rules_of(allowed: Mapping, groups: Mapping, hostvars: Mapping) -> list[str]:
    """Return the rules, one for each family, of one that is allowed."""
    what = f"{allowed.get('protocol', 'tcp')} dport {braced(sorted({int(port) for port in allowed['ports']}))} accept"
    if comment := allowed.get("comment", "").replace('"', "'").replace("\n", " ")[:LONGEST_COMMENT]:
        what += f' comment "{comment}"'
    sources = firewall_sources(allowed["from"], groups, hostvars)
    if [*sources["ip"], *sources["ip6"]] == list(EVERYWHERE):
        return [what]
    return [f"{family} saddr {braced(sources[family])} {what}" for family in sources if sources[family]]


def braced(values: Iterable) -> str:
    """Return a set as nftables writes it."""
    return "{ " + ", ".join(map(str, values)) + " }"


def firewall_problems(allow: Iterable[Mapping], groups: Mapping, hostvars: Mapping) -> list[str]:
    """Return what is wrong with a list of {ports, from, protocol, comment}, one sentence each."""
    return [
        problem
        for number, each in enumerate(allow)
        for problem in problems_of(each, f"item {number}", groups, hostvars)
    ]


def problems_of(allowed: Mapping, where: str, groups: Mapping, hostvars: Mapping) -> list[str]:
    """Return what is wrong with one that is allowed."""
    missing = [
        f"{where} has no {key!r}" for key in ("ports", "from") if not isinstance(allowed.get(key), list)
    ]
    if missing:
        return missing
    problems = [
        f"{where}: {p!r} is no port"
        for p in allowed["ports"]
        if not str(p).isdigit() or not 0 < int(p) < 2**16
    ]
    if not allowed["ports"]:
        problems += [f"{where} has no ports"]
    if allowed.get("protocol", "tcp") not in PROTOCOLS:
        problems += [f"{where}: protocol is {allowed['protocol']!r} and not one of {', '.join(PROTOCOLS)}"]
    return problems + [
        f"{where}: {problem}" for problem in source_problems(allowed["from"], groups, hostvars)
    ]


def source_problems(names: Iterable[str], groups: Mapping, hostvars: Mapping) -> list[str]:
    """Return which names stand for no address."""
    problems = []
    for name in names:
        try:
            networks_of(str(name), groups, hostvars)
        except AnsibleFilterError as error:
            problems.append(str(error))
    return problems


def firewall_covers(names: Iterable[str], address: str, groups: Mapping, hostvars: Mapping) -> bool:
    """Tell whether an address is one of those that the names stand for."""
    single = ipaddress.ip_address(address)
    single = getattr(single, "ipv4_mapped", None) or single
    networks = (network for name in names for network in networks_of(str(name), groups, hostvars))
    return any(single in network for network in networks if network.version == single.version)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "firewall_covers": firewall_covers,
            "firewall_problems": firewall_problems,
            "firewall_rules": firewall_rules,
            "firewall_source_problems": source_problems,
            "firewall_sources": firewall_sources,
            "host_address": host_address,
        }
