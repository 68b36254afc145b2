"""What the role nginx computes from its lists of sites and upstreams."""

from __future__ import annotations

import re
from collections import Counter

NAME = re.compile(r"[a-z][a-z0-9_]*")
SERVER_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PATH = re.compile(r"(= )?/[^\s;{}\"'\\$]*")
ANSWERS = ("upstream", "return", "root")


def nginx_complete(sites: list[dict], http_port: int, https_port: int) -> list[dict]:
    """Return the sites with everything that they leave to its default."""
    return [
        {
            "tls": True,
            "redirect": site.get("tls", True),
            "port": https_port if site.get("tls", True) else http_port,
            "headers": {},
            "locations": [],
        }
        | {name: value for name, value in site.items() if value is not None}
        for site in sites
    ]


def nginx_listeners(sites: list[dict], http_port: int) -> list[dict]:
    """Return each port with whether it speaks TLS; of sites that are complete."""
    found = {site["port"]: site["tls"] for site in sites}
    if any(site["redirect"] for site in sites):
        found.setdefault(http_port, False)
    return [{"port": port, "tls": tls} for port, tls in sorted(found.items())]


def nginx_ports(sites: list[dict], http_port: int, https_port: int, status_port: int) -> list[dict]:
    """Return what the module preflight wants to know of the ports."""
    variables = {http_port: "nginx_http_port", https_port: "nginx_https_port"}
    named = [
        (each["port"], variables.get(each["port"], "a port in nginx_sites"))
        for each in nginx_listeners(sites, http_port)
    ]
    return [
        {"port": port, "variable": variable, "process": ["nginx"]}
        for port, variable in [*named, (status_port, "nginx_status_port")]
    ]


def nginx_pairs(sites: list[dict]) -> list[str]:
    """Return the arguments that tell nginx-certificates of every site's certificate and key."""
    return [
        word
        for site in sites
        if site["tls"]
        for word in ("--pair", site["name"], site["certificate"], site["key"])
    ]


def nginx_requests(sites: list[dict], address: str) -> list[str]:
    """Return curl's arguments for a request to each site, by its name, where Nginx listens; `address` is as in nginx_bind."""
    at = "127.0.0.1" if address in ("*", "0.0.0.0", "[::]") else address  # noqa: S104 - compared, not bound
    names = [site["server_names"][0].replace("*", "any") for site in sites]
    return [
        word
        for name, site in zip(names, sites, strict=True)
        for word in (
            "--resolve",
            f"{name}:{site['port']}:{at}",
            f"http{'s' * site['tls']}://{name}:{site['port']}/",
        )
    ]


def nginx_slots_at(addresses: list[str], ports: list[int]) -> list[dict[str, str]]:
    """Return a slot for each port of each address."""
    return [
        {"name": re.sub("[^a-z0-9]", "_", f"at_{address}_{port}"), "address": f"{bracketed(address)}:{port}"}
        for address in addresses
        for port in ports
    ]


def nginx_slots_of(addresses: list[str], ports: list[list[int]]) -> list[dict[str, str]]:
    """Return a slot for each port of each address, which has ports of its own."""
    return [
        slot for address, own in zip(addresses, ports, strict=True) for slot in nginx_slots_at([address], own)
    ]


def bracketed(address: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def nginx_problems(sites: list[dict], upstreams: list[dict], http_port: int) -> list[dict]:
    """Return what is wrong with the lists, as the module preflight wants it; the sites are complete."""
    names = {upstream["name"] for upstream in upstreams}
    found = [
        *twice("nginx_sites", "name", [site["name"] for site in sites]),
        *twice("nginx_upstreams", "name", [upstream["name"] for upstream in upstreams]),
        *clashes(sites, http_port),
    ]
    for site in sites:
        found += site_problems(site, names)
    for upstream in upstreams:
        found += upstream_problems(upstream)
    return [{"that": False, "problem": problem} for problem in found]


def twice(variable: str, what: str, values: list[str]) -> list[str]:
    """Return a problem for every value that is there more than once."""
    return [
        f"{variable}: the {what} {value} is given {n} times; give each its own"
        for value, n in Counter(values).items()
        if n > 1
    ]


def clashes(sites: list[dict], http_port: int) -> list[str]:
    """Return a problem for every server name that two sites have on one port, and every port with and without TLS."""
    ends = [(site["port"], name) for site in sites for name in site["server_names"]]
    ends += [(http_port, name) for site in sites if site["redirect"] for name in site["server_names"]]
    found = twice("nginx_sites", "pair of port and server name", [f"{port} {name}" for port, name in ends])
    plain = {site["port"] for site in sites if not site["tls"]} | (
        {http_port} if any(site["redirect"] for site in sites) else set()
    )
    mixed = sorted({site["port"] for site in sites if site["tls"]} & plain)
    return found + [
        f"nginx_sites: port {port} is wanted with and without TLS; give one of them another port"
        for port in mixed
    ]


def site_problems(site: dict, upstreams: set[str]) -> list[str]:
    """Return what is wrong with one site."""
    where = f"nginx_sites: {site['name']}"
    found = (
        []
        if NAME.fullmatch(site["name"])
        else [f"{where}: a name is lower case letters, digits and underscores"]
    )
    found += [
        f"{where}: {name!r} is not a server name"
        for name in site["server_names"]
        if not SERVER_NAME.fullmatch(name)
    ]
    if not site["server_names"]:
        found.append(f"{where}: server_names is empty; list the names that it answers to")
    if site["tls"] and not (site.get("certificate") and site.get("key")):
        found.append(f"{where}: certificate and key are needed with tls; set them, or tls to false")
    if site["redirect"] and not site["tls"]:
        found.append(f"{where}: redirect needs tls")
    found += twice(where, "path", [location["path"] for location in site["locations"]])
    for location in site["locations"]:
        found += [
            f"{where} {location['path']}: {problem}" for problem in location_problems(location, upstreams)
        ]
    return found


def location_problems(location: dict, upstreams: set[str]) -> list[str]:
    """Return what is wrong with one location."""
    found = (
        []
        if PATH.fullmatch(location["path"])
        else ["a path begins with / or '= /' and has no spaces or any of ; { } \" ' \\ $"]
    )
    given = [answer for answer in ANSWERS if location.get(answer)]
    if len(given) != 1:
        found.append(f"one of {', '.join(ANSWERS)} is needed, here is {' and '.join(given) or 'none'}")
    if (upstream := location.get("upstream")) and upstream not in upstreams:
        found.append(
            f"the upstream {upstream} is not in nginx_upstreams, which has {', '.join(sorted(upstreams)) or 'none'}"
        )
    if location.get("return"):
        if unused := [name for name in ("rate", "allow") if location.get(name)]:
            found.append(f"{' and '.join(unused)} would not hold for a return, which goes before; leave out")
        answer = location["return"]
        if bool(answer.get("location")) != (300 < answer["status"] < 309):
            found.append(
                "a return has a location when its status is 301, 302, 303, 307 or 308, and only then"
            )
    return found


def upstream_problems(upstream: dict) -> list[str]:
    """Return what is wrong with one upstream."""
    where = f"nginx_upstreams: {upstream['name']}"
    found = (
        []
        if NAME.fullmatch(upstream["name"])
        else [f"{where}: a name is lower case letters, digits and underscores"]
    )
    found += twice(where, "slot", [slot["name"] for slot in upstream["slots"]])
    if not upstream["slots"]:
        found.append(f"{where}: it has no slots; list at least one")
    for slot in upstream["slots"]:
        if not NAME.fullmatch(slot["name"]):
            found.append(
                f"{where}: {slot['name']!r} is not a slot's name, which is lower case letters, digits and underscores"
            )
        if not re.fullmatch(r"unix:/[^\s:;{}$]+|[^\s:;{}$/]+:\d+|\[[0-9a-f:]+\]:\d+", slot["address"]):
            found.append(f"{where} {slot['name']}: {slot['address']!r} is neither HOST:PORT nor unix:/PATH")
    return found


def nginx_quote(text: object) -> str:
    """Return a text as one parameter of Nginx's, in which nothing is a variable."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("$", "${__dollar}")}"'


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        every = (
            nginx_complete,
            nginx_listeners,
            nginx_ports,
            nginx_pairs,
            nginx_requests,
            nginx_slots_of,
            nginx_problems,
            nginx_quote,
        )
        return {each.__name__: each for each in every}
