"""Sites, upstreams and slots of the nginx role."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HTTP, HTTPS, STATUS = 80, 443, 8089


def load(path: str) -> ModuleType:
    loader = SourceFileLoader(f"nginx_{Path(path).stem.replace('-', '_')}", str(ROOT / path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


filters = load("ansible/plugins/filter/nginx.py")
UPSTREAM = {
    "name": "bot",
    "slots": [
        {"name": "blue", "address": "unix:/run/blue.sock"},
        {"name": "green", "address": "127.0.0.1:81"},
    ],
}


def site(**changes: Any) -> dict[str, Any]:
    whole = {
        "name": "bot",
        "server_names": ["bot.test"],
        "certificate": "/c",
        "key": "/k",
        "locations": [{"path": "/", "upstream": "bot"}],
    }
    return whole | changes


def problems(sites: list[dict[str, Any]], upstreams: list[dict[str, Any]] | None = None) -> str:
    complete = filters.nginx_complete(sites, HTTP, HTTPS)
    found = filters.nginx_problems(complete, [UPSTREAM] if upstreams is None else upstreams, HTTP)
    assert not any(each["that"] for each in found)
    return "; ".join(each["problem"] for each in found)


def test_sites_in_order_have_no_problems() -> None:
    assert problems([site(), site(name="other", server_names=["other.test"], tls=False)]) == ""


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ([site(), site(server_names=["b.test"])], "the name bot is given 2 times"),
        ([site(), site(name="b")], "the pair of port and server name 443 bot.test is given 2 times"),
        (
            [site(), site(name="b", tls=False)],
            "the pair of port and server name 80 bot.test is given 2 times",
        ),
        ([site(port=80)], "port 80 is wanted with and without TLS"),
        ([site(name="Bot")], "a name is lower case"),
        ([site(server_names=[])], "server_names is empty"),
        ([site(server_names=["bot.test; evil"])], "is not a server name"),
        ([site(certificate="")], "certificate and key are needed"),
        ([site(tls=False, redirect=True)], "redirect needs tls"),
        (
            [site(locations=[{"path": "/", "upstream": "cat"}])],
            "the upstream cat is not in nginx_upstreams, which has bot",
        ),
        ([site(locations=[{"path": "/"}])], "one of upstream, return, root is needed, here is none"),
        ([site(locations=[{"path": "/", "upstream": "bot", "root": "/srv"}])], "here is upstream and root"),
        ([site(locations=[{"path": "/ {", "upstream": "bot"}])], "a path begins with"),
        ([site(locations=2 * [{"path": "/", "upstream": "bot"}])], "the path / is given 2 times"),
        (
            [site(locations=[{"path": "/", "return": {"status": 200}, "allow": ["10.0.0.0/8"]}])],
            "allow would not hold for a return",
        ),
        ([site(locations=[{"path": "/", "return": {"status": 302}}])], "a return has a location when"),
    ],
)
def test_what_is_wrong_with_sites_is_told(sites: list[dict[str, Any]], said: str) -> None:
    assert said in problems(sites)


@pytest.mark.parametrize(
    ("upstreams", "said"),
    [
        ([UPSTREAM, UPSTREAM], "the name bot is given 2 times"),
        ([UPSTREAM | {"slots": []}], "it has no slots"),
        (
            [UPSTREAM | {"slots": [{"name": "blue", "address": "127.0.0.1"}]}],
            "is neither HOST:PORT nor unix:/PATH",
        ),
        ([UPSTREAM | {"slots": [{"name": "../blue", "address": "127.0.0.1:1"}]}], "is not a slot's name"),
    ],
)
def test_what_is_wrong_with_upstreams_is_told(upstreams: list[dict[str, Any]], said: str) -> None:
    assert said in problems([site()], upstreams)


def test_every_port_is_listened_on_once() -> None:
    sites = filters.nginx_complete(
        [site(), site(name="b", server_names=["b.test"]), site(name="c", tls=False, port=8080)], HTTP, HTTPS
    )
    assert filters.nginx_listeners(sites, HTTP) == [
        {"port": 80, "tls": False},
        {"port": 443, "tls": True},
        {"port": 8080, "tls": False},
    ]
    assert [each["port"] for each in filters.nginx_ports(sites, HTTP, HTTPS, STATUS)] == [
        80,
        443,
        8080,
        STATUS,
    ]


def test_a_text_is_quoted_so_that_nothing_in_it_is_nginxs() -> None:
    assert filters.nginx_quote('5$ "a"\\b\n') == '"5${__dollar} \\"a\\"\\\\b\\n"'


def test_slots_at_every_port_of_every_address() -> None:
    slots = filters.nginx_slots_at(["10.0.0.2", "fd00::2"], [8100, 8101])
    assert [slot["address"] for slot in slots] == [
        "10.0.0.2:8100",
        "10.0.0.2:8101",
        "[fd00::2]:8100",
        "[fd00::2]:8101",
    ]
    assert filters.nginx_problems([], [{"name": "bots", "slots": slots}], HTTP) == []


def test_a_request_goes_to_each_site_by_its_name_where_nginx_listens() -> None:
    sites = [site(server_names=["*.bot.test"]), site(name="plain", server_names=["plain.test"], tls=False)]
    complete = filters.nginx_complete(sites, HTTP, HTTPS)
    assert filters.nginx_requests(complete, "[::]") == [
        *("--resolve", "any.bot.test:443:127.0.0.1", "https://any.bot.test:443/"),
        *("--resolve", "plain.test:80:127.0.0.1", "http://plain.test:80/"),
    ]
    assert filters.nginx_requests(complete[:1], "[2001:db8::1]")[1] == "any.bot.test:443:[2001:db8::1]"


def test_slots_are_at_the_ports_that_each_address_has() -> None:
    slots = filters.nginx_slots_of(["10.0.0.2", "10.0.0.3"], [[1, 2], [1]])
    assert [slot["address"] for slot in slots] == ["10.0.0.2:1", "10.0.0.2:2", "10.0.0.3:1"]
    assert filters.nginx_slots_of([], []) == []
