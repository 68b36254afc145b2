"""Nginx as its clients, its operator and a release find it."""

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hosts import address_of
from plays import play

LOAD = Path(__file__).with_name("load.py")
ROOT = Path(__file__).parents[3]
HELD_PORT = 4443
SLOTS = {"blue": "127.0.0.1:9004", "green": "/run/test-app/green/http.sock"}


@pytest.fixture
def address(host):
    """The host's address, as seen from this machine."""
    return address_of(host.backend.host)


@pytest.fixture
def get(host):
    """Return a function that makes one request over TLS and returns the answer, with its body in `.text`."""

    def request(path, method="GET", body=None, name="bot.test", headers=None):
        connection = http.client.HTTPConnection(name)
        connection.sock = tls(address_of(host.backend.host), name)
        connection.request(method, path, body, {"Host": name} | (headers or {}))
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer

    return request


def trusting():
    """Return a context that accepts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def tls(address, name, context=None):
    """Connect over TLS, asking for a name."""
    return (context or trusting()).wrap_socket(
        socket.create_connection((address, 443), 20), server_hostname=name
    )


def plain(address, request, port=80):
    """Send bytes over plain TCP and return what comes back; nothing when the connection is dropped."""
    with (
        socket.create_connection((address, port), 20) as connection,
        contextlib.suppress(ConnectionResetError),
    ):
        connection.sendall(request)
        return connection.makefile("rb").read().decode()
    return ""


@pytest.fixture
def load(address):
    """Return a function that begins a load in the background, which returns a function that waits for its figures."""

    def begin(seconds=15, rate=100, path="/"):
        command = [
            sys.executable,
            str(LOAD),
            address,
            "443",
            "bot.test",
            f"--seconds={seconds}",
            f"--rate={rate}",
            f"--path={path}",
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        return lambda: json.loads(process.communicate(timeout=200)[0])

    return begin


def workers(host):
    """Return the process ids of the workers: a reload gives others."""
    return host.check_output("pgrep -f 'nginx: worker process$'").split()


# What clients find


def test_a_request_reaches_the_app_and_its_answer_the_client(get):
    answer = get("/some/path?a=b", "POST", b"12345")
    seen = json.loads(answer.text)
    assert answer.status == 200
    assert (seen["slot"], seen["method"], seen["path"], seen["body"]) == ("blue", "POST", "/some/path?a=b", 5)
    assert seen["headers"]["host"] == "bot.test"
    assert seen["headers"]["x-forwarded-proto"] == "https"


def test_headers_protect_the_client_and_tell_no_version(get):
    for answer in (get("/"), get("/hello.txt"), get("/moved")):
        assert answer.headers.get_all("Server") == ["nginx"]
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers.get_all("X-Frame-Options") == ["DENY"]
        assert "X-Powered-By" not in answer.headers


def test_files_texts_and_redirects_are_served(get):
    assert get("/hello.txt").text == "hello\n"
    assert get("/price").text == '5$ "only"\n'
    assert get("/moved").headers["Location"] == "https://bot.test/hello.txt"


def test_too_large_a_body_is_refused(get):
    assert get("/", "POST", b"x" * 65536).status == 200
    assert get("/", "POST", b"x" * 65537).status == 413


def test_too_many_requests_are_refused(get):
    assert {get("/slow-down/").status for _ in range(8)} == {200, 429}


def test_who_is_not_allowed_is_refused(get):
    assert get("/nobody/").status == 403


def test_trace_is_refused(get):
    assert get("/", "TRACE").status == 405


def test_old_versions_of_tls_are_refused(address):
    assert tls(address, "bot.test").version() == "TLSv1.3"
    old = trusting()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version|alert"):
        tls(address, "bot.test", old)


def test_http2_is_spoken(address):
    context = trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with tls(address, "bot.test", context) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        assert connection.recv(9)[3] == 4


def test_sessions_are_resumed_without_tickets(address):
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls(address, "bot.test", context) as first:
        assert not first.session.has_ticket
        first.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: bot.test\r\n\r\n")
        # An answer, because the server keeps the session only after its last word of the handshake.
        assert first.recv(9) == b"HTTP/1.1 "
        plain_second = socket.create_connection((address, 443), 20)
        with context.wrap_socket(plain_second, server_hostname="bot.test", session=first.session) as second:
            assert second.session_reused


def test_unknown_names_are_dropped(address, get):
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        tls(address, "unknown.test")
    assert get("/", headers={"Host": "unknown.test"}).status == 421
    for request in (b"GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        assert plain(address, request) == ""


def test_plain_http_leads_to_tls(host, address):
    answer = plain(address, b"GET /a?b HTTP/1.1\r\nHost: www.bot.test\r\nConnection: close\r\n\r\n")
    assert "301" in answer.splitlines()[0]
    assert "Location: https://www.bot.test/a?b" in answer
    host.run_test(
        "mkdir -p /srv/acme/.well-known/acme-challenge && echo -n proof > /srv/acme/.well-known/acme-challenge/token"
    )
    request = b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: bot.test\r\nConnection: close\r\n\r\n"
    assert plain(address, request).endswith("\r\n\r\nproof")


def test_a_plain_site_has_headers_of_its_own(address):
    answer = plain(address, b"GET /only HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n", 8080)
    assert "X-Frame-Options: SAMEORIGIN" in answer
    assert "Referrer-Policy" not in answer
    assert "Strict-Transport-Security" not in answer
    assert (
        "404"
        in plain(
            address, b"GET /only/more HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n", 8080
        ).splitlines()[0]
    )


def test_a_client_cannot_choose_its_address_or_request_id(get):
    seen = json.loads(
        get(
            "/",
            headers={"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Request-Id": "mine"},
        ).text
    )
    assert "203.0.113.9" not in (seen["headers"]["x-forwarded-for"], seen["headers"]["x-real-ip"])
    assert re.fullmatch("[0-9a-f]{32}", seen["headers"]["x-request-id"])


def test_of_what_a_trusted_proxy_forwards_the_rightmost_stranger_is_the_client(host):
    script = (
        "import socket; s = socket.create_connection(('127.0.0.1', 8080), 9, ('127.0.0.2', 0));"
        "s.sendall(b'GET /only HTTP/1.1\\r\\nHost: plain.test\\r\\nConnection: close\\r\\n"
        "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.2\\r\\n\\r\\n'); print(s.makefile().read())"
    )
    seen = host.check_output("python3 -c %s", script)
    assert json.loads(seen.split("\n\n")[-1])["headers"]["x-forwarded-for"] == "203.0.113.9"


# What the operator finds


def test_the_log_is_json_with_the_request_id_that_the_app_saw(host, get):
    seen = json.loads(get("/logged?secret=1").text)
    lines = host.check_output("tail -n 50 /var/log/nginx/access.log").splitlines()
    entry = next(each for each in map(json.loads, reversed(lines)) if each["path"] == "/logged")
    assert entry["request_id"] == seen["headers"]["x-request-id"]
    assert (entry["status"], entry["method"], entry["upstream_status"]) == (200, "GET", "200")
    assert entry["tls"] == "TLSv1.3"
    assert float(entry["upstream_seconds"]) >= 0


def test_the_log_keeps_its_shape_whatever_clients_send(host, address, get):
    get('/logged"quoted', headers={"User-Agent": 'a "quoted\\ \x07'})
    plain(address, b"\x16\x03\x01 nonsense\r\n\r\n")
    for line in host.check_output("tail -n 20 /var/log/nginx/access.log").splitlines():
        assert isinstance(json.loads(line)["status"], int)


def test_the_log_is_not_for_everyone_and_can_be_rotated(host, get, eventually):
    host.check_output("logrotate --force /etc/logrotate.d/nginx")
    get("/after-rotation")
    assert eventually(lambda: "/after-rotation" in host.file("/var/log/nginx/access.log").content_string)
    assert host.file("/var/log/nginx/access.log").mode == 0o640


def test_figures_are_on_loopback_only(host, address):
    assert "Active connections" in host.check_output(
        "python3 -c %s",
        "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8089/stub_status').read().decode())",
    )
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 8089), 5)


def test_the_unit_is_confined(host):
    exposure = host.run("systemd-analyze security nginx --no-pager | tail -n1").stdout
    assert float(re.search(r"([\d.]+) [A-Z]", exposure)[1]) < 4, exposure


def test_the_key_is_for_root_and_nginx_only(host):
    key = host.file(
        f"/etc/nginx/certificates/{host.file('/etc/nginx/certificates/bot.pem').linked_to.split('/')[-1]}"
    )
    assert (key.mode, key.user, key.group) == (0o640, "root", "www-data")


# What a release finds


def test_a_slot_that_is_down_is_passed_over(get):
    for method in ("GET", "POST") * 3:
        assert json.loads(get("/tcp/", method, b"x" if method == "POST" else None).text)["slot"] == "9001"


def test_only_a_repeatable_request_is_sent_again_when_an_app_dies_under_it(get):
    assert {get("/mortal/", "POST", b"x").status for _ in range(4)} == {200, 502}
    assert {get("/repeatable/", "POST", b"x").status for _ in range(4)} == {200}


def listens(host, slot):
    """Tell whether the app in a slot of the upstream bot takes connections."""
    return host.run("ss --listening --no-header --tcp --unix | grep -e %s", SLOTS[slot]).rc == 0


def test_slots_are_switched_under_load_and_no_request_is_lost(host, load, eventually):
    before, figures = workers(host), load(seconds=20)
    for _ in range(4):
        for new, old in (("green", "blue"), ("blue", "green")):
            time.sleep(1)
            host.check_output(f"systemctl start test-app@{new}")
            assert eventually(lambda slot=new: listens(host, slot))
            host.check_output(f"systemctl stop test-app@{old}")
    found = figures()
    print(f"switch: {found}")
    assert found["failed"] == 0, found
    assert min(found["slots"]["blue"], found["slots"]["green"]) > 100
    assert workers(host) == before


def test_every_slot_that_listens_is_used_and_one_that_ends_is_not(host, get, eventually):
    host.check_output("systemctl start test-app@green")
    assert eventually(lambda: listens(host, "green"))
    assert {json.loads(get("/").text)["slot"] for _ in range(6)} == {"blue", "green"}
    host.check_output("systemctl stop test-app@blue")
    assert {json.loads(get("/").text)["slot"] for _ in range(6)} == {"green"}
    host.check_output("systemctl start test-app@blue")
    assert eventually(lambda: listens(host, "blue"))
    host.check_output("systemctl stop test-app@green")
    assert {json.loads(get("/").text)["slot"] for _ in range(6)} == {"blue"}


def test_a_renewed_certificate_is_served_under_load_and_no_request_is_lost(host, load):
    before, figures = workers(host), load(seconds=20)
    for _ in range(5):
        time.sleep(1)
        renew(host)
    found = figures()
    print(f"renew: {found}")
    assert found["failed"] == 0, found
    assert len(found["certificates"]) >= 2
    assert workers(host) == before


def renew(host, more=""):
    """Write a new key, then a new certificate, as an ACME client does."""
    made = "-keyout /tmp/key.pem -out /tmp/certificate.pem"
    host.check_output(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=bot.test {made} {more} 2>&1"
    )
    host.check_output(
        "cp /tmp/key.pem /etc/ssl/test/key.pem; cp /tmp/certificate.pem /etc/ssl/test/certificate.pem"
    )


def test_a_certificate_that_does_not_match_its_key_is_not_served(host, get):
    shown = host.file("/etc/nginx/certificates/bot.pem").sha256sum
    host.check_output(
        "cp -a /etc/ssl/test /tmp/kept; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /etc/ssl/test/key.pem"
    )
    try:
        time.sleep(1)
        assert (
            "is not the key of"
            in host.run("systemctl start nginx-certificates; journalctl -u nginx-certificates -n 20").stdout
        )
        assert host.file("/etc/nginx/certificates/bot.pem").sha256sum == shown
        assert get("/").status == 200
        done = play(limit=host.backend.host)
        assert not done.succeeded
        assert "is not the key of" in done.said
    finally:
        host.check_output(
            "cp -a /tmp/kept/. /etc/ssl/test/; rm -rf /tmp/kept; systemctl reset-failed nginx-certificates"
        )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"nginx_body_limit": "much"}, "client_max_body_size"),
        ({"nginx_upstreams": []}, "is not in nginx_upstreams"),
        ({"nginx_https_port": 80}, "with and without TLS"),
        ({"nginx_status_port": 9001}, "port 9001 is taken by"),
    ],
)
def test_a_wrong_variable_changes_nothing(host, get, variables, said):
    before, running = host.file("/etc/nginx/nginx.conf").sha256sum, workers(host)
    done = play(limit=host.backend.host, **variables)
    assert not done.succeeded
    assert said in done.said
    assert host.file("/etc/nginx/nginx.conf").sha256sum == before
    assert host.run("nginx -t").rc == 0
    assert workers(host) == running
    assert get("/").status == 200


@pytest.fixture
def held_port(host):
    """A port that is bound though no one listens at it: neither a list of listeners nor `nginx -t` shows it."""
    hold = f"import socket, time; s = socket.socket(); s.bind(('0.0.0.0', {HELD_PORT})); time.sleep(600)"
    host.check_output("systemd-run --unit=held-port python3 -c %s", hold)
    yield HELD_PORT
    host.check_output("systemctl stop held-port")


def test_a_configuration_that_only_fails_when_it_is_applied_is_taken_back(host, get, held_port):
    before = host.file("/etc/nginx/nginx.conf").sha256sum
    done = play(limit=host.backend.host, nginx_https_port=held_port)
    assert not done.succeeded
    assert "Wait until it serves what it was given: Nginx runs generation" in done.said
    assert host.file("/etc/nginx/nginx.conf").sha256sum == before
    assert get("/").status == 200
    host.check_output("systemctl restart nginx")
    assert get("/").status == 200


def test_it_serves_after_a_reboot(host, get, reboot, eventually):
    reboot()
    assert host.run("nginx -t").rc == 0
    assert eventually(lambda: listens(host, "blue"))
    assert {json.loads(get("/").text)["slot"] for _ in range(4)} == {"blue"}
