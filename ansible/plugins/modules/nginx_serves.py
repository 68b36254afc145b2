#!/usr/bin/python
"""Use Nginx as its clients do: it runs the configuration that it was given, and every site answers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_serves
short_description: Use Nginx as its clients do
description:
  - Waits until Nginx says that it runs a generation of its configuration. A reload only asks for it, and when the new
    configuration cannot be applied Nginx goes on with the old one and tells nobody.
  - Makes one request to each site, over TLS with the site's name where it has it. Any answer will do, none will not.
options:
  status: {description: The address of the endpoint on loopback., type: str, required: true}
  generation: {description: What it shall answer to /generation., type: str, required: true}
  sites:
    description: What to make a request to.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The site's server name., type: str, required: true}
      port: {description: Its port., type: int, required: true}
      tls: {description: Whether it speaks TLS., type: bool, required: true}
  address: {description: Where the sites listen., type: str, default: 127.0.0.1}
  seconds: {description: How long to wait., type: float, default: 15}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Make a request to every site
  nginx_serves:
    status: http://127.0.0.1:8089
    generation: 2f1d
    sites: [{name: bot.example.org, port: 443, tls: true}]
"""
RETURN = r""" # """

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule


def generation(status: str) -> str:
    """Return the generation that Nginx runs, or why it does not say."""
    try:
        with urllib.request.urlopen(f"{status}/generation", timeout=2) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return f"none ({error})"


def connect(site: dict, address: str) -> socket.socket:
    """Connect as a client that asks for the site; whether its certificate is trusted is not asked here."""
    plain = socket.create_connection((address, site["port"]), timeout=5)
    if not site["tls"]:
        return plain
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=site["name"])


def site_problem(site: dict, address: str) -> str | None:
    """Return why a site does not answer."""
    try:
        with connect(site, address) as connection:
            connection.sendall(
                f"GET / HTTP/1.1\r\nHost: {site['name']}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = connection.recv(12)
    except OSError as error:
        return f"{site['name']} port {site['port']}: {error}"
    return None if answer.startswith(b"HTTP/1.1 ") else f"{site['name']} port {site['port']}: no answer"


def main() -> None:
    """Wait, then ask every site."""
    site = {
        "name": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "tls": {"type": "bool", "required": True},
    }
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "status": {"type": "str", "required": True},
            "generation": {"type": "str", "required": True},
            "sites": {"type": "list", "elements": "dict", "default": [], "options": site},
            "address": {"type": "str", "default": "127.0.0.1"},
            "seconds": {"type": "float", "default": 15.0},
        },
    )
    wanted, until = module.params["generation"], time.monotonic() + module.params["seconds"]
    while (running := generation(module.params["status"])) != wanted:
        if time.monotonic() > until:
            module.fail_json(
                msg=f"Nginx runs generation {running}, not {wanted}; /var/log/nginx/error.log says why"
            )
        time.sleep(0.1)
    problems = [site_problem(each, module.params["address"]) for each in module.params["sites"]]
    if told := [problem for problem in problems if problem]:
        module.fail_json(msg="; ".join(told))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
