"""Where a webhook's posts go: the address to connect to, the host name to ask for, and the certificates to trust."""

import functools
import ssl
from ipaddress import ip_address

from yarl import URL

from aisha_sandbox.answers import bad_request
from aisha_sandbox.state import Json


def checked(hook: Json) -> Json:
    """Return the webhook with its fixed address as Telegram writes it.

    Raises:
        ApiError: the address, the fixed one or the certificate is malformed.
    """
    try:
        host = URL(hook["url"]).raw_host
    except ValueError:
        host = None
    if not host or not hook["url"].startswith(("http://", "https://")):
        raise bad_request("bad webhook: Failed to resolve host: invalid URL")
    if hook["certificate"]:
        _trusting(hook["certificate"])
    fixed = hook["ip_address"] and _ip(hook["ip_address"])
    if hook["ip_address"] and not fixed:
        raise bad_request("bad webhook: Invalid IP address specified")
    return hook | {"ip_address": fixed}


def address(hook: Json) -> str | None:
    """Return the IP address that is posted to, as far as it is known without asking DNS."""
    return hook["ip_address"] or _ip(URL(hook["url"]).raw_host or "")


def request(hook: Json) -> Json:
    """Return aiohttp's arguments for a post: a fixed address changes only what is connected to, not the host name."""
    url = URL(hook["url"])
    trusted = {"ssl": _trusting(hook["certificate"])} if hook.get("certificate") else {}
    headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret"]} if hook["secret"] else {}
    if not hook.get("ip_address"):
        return {"url": url, "headers": headers} | trusted
    headers["Host"] = url.host_port_subcomponent or ""
    connected = url.with_host(hook["ip_address"])
    return {"url": connected, "headers": headers, "server_hostname": url.raw_host} | trusted


@functools.lru_cache(maxsize=1)
def _trusting(certificate: str) -> ssl.SSLContext:
    """Return a context that trusts this PEM and nothing else, by OpenSSL's own rules as Telegram's `SslCtx.cpp` does.

    Raises:
        ApiError: there is no certificate in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificate)
    except (ValueError, ssl.SSLError):
        raise bad_request("bad webhook: Can't create an SSL context") from None
    return context


def _ip(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
