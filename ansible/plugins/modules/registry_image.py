#!/usr/bin/python
"""Ask a registry for an image: whether one may log in, which digest a tag has, whether all of it is there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image
short_description: Ask a registry for an image
description:
  - Logs in over TLS, without any proxy, and asks for nothing else when no reference is given.
  - An image counts as there when its manifest and every blob that it names are. Never changes anything.
options:
  registry: {description: 'HOST:PORT.', type: str, required: true}
  user: {description: Who asks., type: str, required: true}
  password: {description: That user's password., type: str, required: true}
  ca: {description: 'The authority of its certificate, as PEM or as the path of a file; none means the system''s.', type: str}
  name: {description: The image's name., type: str}
  reference: {description: A tag or a digest., type: str}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Ask for the newest
  registry_image: {registry: "registry.example.org:5000", user: app, password: "{{ password }}", name: aisha, reference: latest}
"""
RETURN = r"""
digest: {description: The image's; empty when it is not there, or not all of it., type: str, returned: always}
"""

import base64
import hashlib
import http
import json
import ssl
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
SECONDS = 30


class Registry:
    """A registry as one user sees it."""

    def __init__(self, address: str, user: str, password: str, ca: str | None) -> None:
        self.address, self.user = address, user
        self._login = base64.b64encode(f"{user}:{password}".encode()).decode()
        text = ca if ca and "BEGIN CERTIFICATE" in ca else None
        context = ssl.create_default_context(cadata=text, cafile=None if text else ca or None)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def ask(self, method: str, path: str) -> bytes | None:
        """Return what the registry answers; None when it does not have it.

        Raises:
            ValueError: it does not let the user in, or fails.
            OSError: it cannot be reached.
        """
        headers = {"Authorization": f"Basic {self._login}", "Accept": ", ".join(MANIFESTS)}
        request = urllib.request.Request(f"https://{self.address}/v2/{path}", method=method, headers=headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                answer: bytes = response.read()
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            if error.code == http.HTTPStatus.UNAUTHORIZED:
                raise ValueError(f"it refuses the user {self.user} with that password") from None
            raise ValueError(f"it answers {error.code} to {method} {path}") from None
        return answer

    def digest(self, name: str, reference: str) -> str:
        """Return the digest of an image that is wholly there, else nothing."""
        manifest = self.ask("GET", f"{name}/manifests/{reference}")
        if manifest is None:
            return ""
        told = json.loads(manifest)
        blobs = [told["config"], *told["layers"]]
        if any(self.ask("HEAD", f"{name}/blobs/{blob['digest']}") is None for blob in blobs):
            return ""
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def main() -> None:
    """Ask."""
    text = {"type": "str"}
    needed = {"type": "str", "required": True}
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "registry": needed,
            "user": needed,
            "password": needed | {"no_log": True},
            "ca": text,
            "name": text,
            "reference": text,
        },
        required_together=[("name", "reference")],
    )
    wanted = module.params
    try:
        registry = Registry(wanted["registry"], wanted["user"], wanted["password"], wanted["ca"])
        registry.ask("GET", "")
        digest = registry.digest(wanted["name"], wanted["reference"]) if wanted["name"] else ""
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=f"the registry {wanted['registry']}: {getattr(error, 'reason', error)}")
    module.exit_json(changed=False, digest=digest)


if __name__ == "__main__":
    main()
