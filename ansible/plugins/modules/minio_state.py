#!/usr/bin/python
"""Create the buckets of a MinIO server, and users limited to their own buckets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: minio_state
short_description: Create the buckets of a MinIO server, and users limited to their own buckets
description:
  - Creates buckets with expiry rules and quotas, and users, each with a policy of its own that lists the buckets it may use.
    Idempotent; buckets and users that are not listed stay.
  - A user's password is checked by logging in with it. It is sent encrypted, as the server requires.
  - With I(probe) it changes nothing, but tests the bucket as a user and as an anonymous client.
  - It talks to the server directly (S3 and MinIO's admin API, AWS signature version 4), because Debian 12 has no client for it.
requirements: [python3-cryptography]
options:
  url: {description: 'The server, as http(s)://ADDRESS:PORT.', type: str, required: true}
  server_name: {description: The name that its certificate must have; the URL's host by default., type: str}
  ca: {description: The CA of its certificate (PEM)., type: path}
  user: {description: The access key to use; to change anything it must be the root user's., type: str, required: true}
  password: {description: The secret key of that user., type: str, required: true}
  buckets:
    description: Buckets to create.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Its name., type: str, required: true}
      expire:
        description: Expiry rules, by prefix and age.
        type: list
        elements: dict
        default: []
        suboptions:
          prefix: {description: Prefix of the objects' keys; empty for all objects., type: str, default: ''}
          days: {description: Age in days at which they are deleted., type: int, required: true}
      quota_mib: {description: Maximum size of its objects in MiB; 0 is none., type: int, default: 0}
  users:
    description: Users to create.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The access key., type: str, required: true}
      password: {description: The secret key., type: str, required: true}
      write: {description: Buckets that it reads and writes., type: list, elements: str, default: []}
      read: {description: Buckets that it only reads., type: list, elements: str, default: []}
      metrics: {description: Whether it may read the server's metrics., type: bool, default: false}
  drives: {description: The server's folders; creating a bucket warns of an unsuitable file system., type: list, elements: path, default: []}
  probe: {description: 'A bucket to write to, read from and delete from as the user; anonymous access must be denied.', type: str}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Create the bucket and its user
  minio_state:
    url: http://127.0.0.1:9000
    user: root
    password: "{{ vault_minio_root_password }}"
    buckets: [{name: aisha, expire: [{prefix: audio/, days: 30}], quota_mib: 20480}]
    users: [{name: app, password: "{{ vault_minio_app_password }}", write: [aisha]}]
"""
RETURN = r"""
changes:
  description: What was done, one sentence each.
  type: list
  elements: str
  returned: always
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None  # type: ignore[assignment,misc]

REGION = "us-east-1"
ADMIN = "/minio/admin/v3/"
XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
SECONDS = 30
MIB = 1024 * 1024
READY_SECONDS = 60
BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
READ = ("s3:GetObject",)
WRITE = (*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


class RefusedError(Exception):
    """The server answered with an error; `status` is HTTP's, `code` is S3's."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        found = [body.partition(f"<{tag}>".encode())[2].partition(b"<")[0] for tag in ("Code", "Message")]
        if body.startswith(b"{"):
            answer = json.loads(body)
            found = [str(answer.get(name, "")).encode() for name in ("Code", "Message")]
        self.status, self.code = status, found[0].decode()
        super().__init__(f"{request}: {status} {self.code} {found[1].decode(errors='replace')}".strip())


class NamedConnection(http.client.HTTPSConnection):
    """A connection to an address whose certificate must be for another name."""

    def __init__(self, host: str, port: int, *, server_name: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=context)
        self.server_name, self.tls = server_name, context

    def connect(self) -> None:
        """Connect, and check the certificate for the server's name."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.server_name)


class Server:
    """Requests to one server, signed with a user's key or anonymous."""

    def __init__(
        self, url: str, server_name: str | None, ca: str | None, user: str | None, password: str
    ) -> None:
        self.url, self.server_name, self.ca = urlsplit(url), server_name, ca
        self.user, self.password = user, password

    def as_user(self, user: str | None, password: str = "") -> Server:
        """Return the same server for another user; None is anonymous."""
        return Server(self.url.geturl(), self.server_name, self.ca, user, password)

    def request(
        self, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        """Return the body of the answer.

        Raises:
            RefusedError: its status is not 2xx.
        """
        target = quote(path) + (f"?{urlencode(sorted(query.items()), quote_via=quote)}" if query else "")
        connection = self._connection()
        try:
            connection.request(method, target, body, self._headers(method, target, body))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status // 100 != 2:
            raise RefusedError(f"{method} {path}", response.status, answer)
        return answer

    def admin(self, method: str, command: str, query: dict[str, str], body: bytes = b"") -> bytes:
        """Return the answer of MinIO's admin API."""
        return self.request(method, ADMIN + command, query, body)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.url.hostname or "", self.url.port or 9000
        if self.url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=SECONDS)
        context = ssl.create_default_context(cafile=self.ca)
        return NamedConnection(host, port, server_name=self.server_name or host, context=context)

    def _headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        headers = {"Host": self.url.netloc}
        if self.user is None:
            return headers
        if body:  # S3 requires it for lifecycle rules
            headers["Content-MD5"] = base64.b64encode(
                hashlib.md5(body, usedforsecurity=False).digest()
            ).decode()
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers |= {"X-Amz-Date": now, "X-Amz-Content-Sha256": hashlib.sha256(body).hexdigest()}
        headers["Authorization"] = self._authorization(method, target, headers, now)
        return headers

    def _authorization(self, method: str, target: str, headers: dict[str, str], now: str) -> str:
        """Return the AWS signature, version 4, of a request."""
        path, _, query = target.partition("?")
        named = {
            name.lower(): value for name, value in sorted(headers.items(), key=lambda each: each[0].lower())
        }
        names = ";".join(named)
        lines = "".join(f"{name}:{value}\n" for name, value in named.items())
        canonical = "\n".join((method, path, query, lines, names, headers["X-Amz-Content-Sha256"]))
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.password}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return (
            f"AWS4-HMAC-SHA256 Credential={self.user}/{scope}, SignedHeaders={names}, Signature={signature}"
        )


def encrypted(data: bytes, password: str) -> bytes:
    """Return data as the admin API takes secrets: salt, cipher id, nonce, one chunk of AES-256-GCM.

    The format is madmin-go's `EncryptData`; id 2 derives the key by PBKDF2, which is in the standard library.
    """
    salt, nonce = os.urandom(32), os.urandom(8)
    cipher = AESGCM(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 8192))
    tag = cipher.encrypt(nonce + (0).to_bytes(4, "little"), b"", None)
    last = b"\x80" + tag
    return salt + b"\x02" + nonce + cipher.encrypt(nonce + (1).to_bytes(4, "little"), data, last)


def rules(expire: list[dict]) -> list[tuple[str, int]]:
    """Return a bucket's rules, sorted."""
    return sorted((rule["prefix"], rule["days"]) for rule in expire)


def lifecycle(wanted: list[tuple[str, int]]) -> bytes:
    """Return rules as S3 takes them."""
    root = ElementTree.Element("LifecycleConfiguration", xmlns=XMLNS)
    for prefix, days in wanted:
        rule = ElementTree.SubElement(root, "Rule")
        ElementTree.SubElement(rule, "ID").text = f"expire-{prefix or 'all'}"
        ElementTree.SubElement(rule, "Status").text = "Enabled"
        ElementTree.SubElement(ElementTree.SubElement(rule, "Filter"), "Prefix").text = prefix
        ElementTree.SubElement(ElementTree.SubElement(rule, "Expiration"), "Days").text = str(days)
    return ElementTree.tostring(root)


def present_rules(document: bytes) -> list[tuple[str, int]]:
    """Return the rules in an S3 response; MinIO leaves out the namespace."""
    found = []
    for rule in ElementTree.fromstring(document).findall("{*}Rule"):  # noqa: S314 (the server is our own)
        days = rule.findtext("{*}Expiration/{*}Days")
        enabled = rule.findtext("{*}Status") == "Enabled"
        if enabled and days:
            found.append((rule.findtext("{*}Filter/{*}Prefix") or "", int(days)))
    return sorted(found)


def statement(buckets: list[str], actions: tuple[str, ...]) -> list[dict]:
    """Return the statements that allow the actions on the objects of buckets, and listing these buckets."""
    if not buckets:
        return []
    arns = [f"arn:aws:s3:::{name}" for name in sorted(buckets)]
    return [
        {"Effect": "Allow", "Action": sorted(BUCKET), "Resource": arns},
        {"Effect": "Allow", "Action": sorted(actions), "Resource": [f"{arn}/*" for arn in arns]},
    ]


def policy(user: dict) -> dict:
    """Return the policy of a user: its buckets, and nothing else."""
    metrics = [{"Effect": "Allow", "Action": ["admin:Prometheus"]}] if user["metrics"] else []
    return {
        "Version": "2012-10-17",
        "Statement": statement(user["write"], WRITE) + statement(user["read"], READ) + metrics,
    }


def comparable(document: dict) -> list:
    """Return a policy's statements in a form that compares equal whatever order the server returns them in."""

    def plain(value: object) -> object:
        return sorted(value) if isinstance(value, list) else [value] if isinstance(value, str) else value

    kept = ("Effect", "Action", "Resource")
    return sorted(
        json.dumps({k: plain(each[k]) for k in kept if each.get(k)}, sort_keys=True)
        for each in document["Statement"]
    )


class State:
    """Brings a server to the wanted state, and reports what it did."""

    def __init__(self, server: Server, *, dry: bool) -> None:
        self.server, self.dry = server, dry
        self.changes: list[str] = []

    def change(self, sentence: str, *request: Any) -> None:
        """Make one change, except in check mode."""
        self.changes.append(sentence)
        if not self.dry:
            self.server.request(*request)

    def bucket(self, bucket: dict) -> None:
        """Ensure that a bucket exists with its rules and its quota."""
        path, wanted = f"/{bucket['name']}", rules(bucket["expire"])
        if not found(self.server.request, "HEAD", path):
            self.change(f"make bucket {bucket['name']}", "PUT", path)
        document = found(self.server.request, "GET", path, {"lifecycle": ""})
        if wanted != (present_rules(document) if document else []):
            body = [lifecycle(wanted)] if wanted else []
            self.change(
                f"set rules of bucket {bucket['name']}",
                "PUT" if wanted else "DELETE",
                path,
                {"lifecycle": ""},
                *body,
            )
        self.quota(bucket["name"], bucket["quota_mib"] * MIB)

    def quota(self, name: str, wanted: int) -> None:
        """Ensure that a bucket takes no more than so many bytes; 0 is no limit."""
        present = json.loads(found(self.server.admin, "GET", "get-bucket-quota", {"bucket": name}) or "{}")
        if wanted == (present.get("size") or present.get("quota") or 0):
            return
        body = json.dumps({"quota": wanted, "size": wanted, "quotatype": "hard"}).encode()
        self.change(f"set quota of bucket {name}", "PUT", f"{ADMIN}set-bucket-quota", {"bucket": name}, body)

    def user(self, user: dict) -> None:
        """Ensure that a user exists with its password and policy."""
        name, query = user["name"], {"accessKey": user["name"]}
        present = json.loads(found(self.server.admin, "GET", "user-info", query) or "{}")
        if present.get("status") != "enabled" or not self.knows(user):
            wanted = json.dumps({"secretKey": user["password"], "status": "enabled"}).encode()
            self.change(
                f"set password of user {name}",
                "PUT",
                f"{ADMIN}add-user",
                query,
                encrypted(wanted, self.server.password),
            )
        self.policy(f"only-{name}", policy(user))
        if present.get("policyName") != f"only-{name}":
            query = {"policyName": f"only-{name}", "userOrGroup": name, "isGroup": "false"}
            self.change(f"set policy of user {name}", "PUT", f"{ADMIN}set-user-or-group-policy", query)

    def knows(self, user: dict) -> bool:
        """Tell whether the server accepts a user's password."""
        try:
            self.server.as_user(user["name"], user["password"]).request("GET", "/")
        except RefusedError as error:
            return error.code == "AccessDenied"
        return True

    def policy(self, name: str, wanted: dict) -> None:
        """Ensure that a policy exists as wanted."""
        present = found(self.server.admin, "GET", "info-canned-policy", {"name": name, "v": "2"})
        if present and comparable(json.loads(present)["Policy"]) == comparable(wanted):
            return
        self.change(
            f"write policy {name}",
            "PUT",
            f"{ADMIN}add-canned-policy",
            {"name": name},
            json.dumps(wanted).encode(),
        )


def found(ask: Callable[..., bytes], *request: Any) -> bytes | None:
    """Return the answer, a space for an empty one so that it is truthy; None when the server answers 404."""
    try:
        return ask(*request) or b" "
    except RefusedError as error:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return None
        raise


def wait_until_ready(server: Server) -> None:
    """Wait until a server has loaded its users and buckets.

    Raises:
        RefusedError: it has not after a minute.
        OSError: it cannot be reached.
    """
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            server.request("GET", "/")
        except (OSError, RefusedError) as error:
            early = (
                error.status == http.HTTPStatus.SERVICE_UNAVAILABLE
                if isinstance(error, RefusedError)
                else refused(error)
            )
            if not early or time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def refused(error: OSError) -> bool:
    """Tell whether waiting may help: yes while nothing listens yet, no for a TLS error."""
    return not isinstance(error, ssl.SSLError)


def probe(server: Server, bucket: str) -> None:
    """Use a bucket as its user, and check that anonymous clients cannot.

    Raises:
        RefusedError: the user is denied access.
        ValueError: the data read are not those written, or an anonymous client was let in.
    """
    path, data = f"/{bucket}/.probe/{socket.gethostname()}", os.urandom(16).hex().encode()
    server.request("PUT", path, None, data)
    try:
        if server.request("GET", path) != data:
            raise ValueError(f"{path} is not what was written")
        stranger = server.as_user(None)
        for asked in (path, f"/{bucket}"):
            try:
                stranger.request("GET", asked)
            except RefusedError as error:
                if error.status != http.HTTPStatus.FORBIDDEN:
                    raise
            else:
                raise ValueError(f"{asked} can be read by anybody: remove the bucket's anonymous policy")
    finally:
        server.request("DELETE", path)


def file_system(path: str, mounts: str) -> str:
    """Return the type of the file system that holds a path, from the text of /proc/mounts."""
    real = os.path.realpath(path)
    lines = (line.split() for line in mounts.splitlines())
    holding = [(each[1], each[2]) for each in lines if os.path.commonpath((each[1], real)) == each[1]]
    return max(holding, key=lambda each: len(each[0]), default=("", "unknown"))[1]


def advise(module: AnsibleModule) -> None:
    """Warn of drives with ext file systems."""
    mounts = Path("/proc/mounts").read_text()
    for folder in module.params["drives"]:
        if (kind := file_system(folder, mounts)) in ("ext2", "ext3", "ext4"):
            module.warn(f"{folder} is {kind}; MinIO recommends XFS")


def specification() -> dict:
    """Return the argument specification."""
    rule = {"prefix": {"type": "str", "default": ""}, "days": {"type": "int", "required": True}}
    expire = {"type": "list", "elements": "dict", "default": [], "options": rule}
    names = {"type": "list", "elements": "str", "default": []}
    name = {"name": {"type": "str", "required": True}}
    password = {"password": {"type": "str", "required": True, "no_log": True}}
    bucket = name | {"expire": expire, "quota_mib": {"type": "int", "default": 0}}
    user = name | password | {"write": names, "read": names, "metrics": {"type": "bool", "default": False}}
    return password | {
        "url": {"type": "str", "required": True},
        "server_name": {"type": "str"},
        "ca": {"type": "path"},
        "user": {"type": "str", "required": True},
        "buckets": {"type": "list", "elements": "dict", "default": [], "options": bucket},
        "users": {"type": "list", "elements": "dict", "default": [], "options": user},
        "drives": {"type": "list", "elements": "path", "default": []},
        "probe": {"type": "str"},
    }


def main() -> None:
    """Compare, and change what differs; or probe."""
    module = AnsibleModule(supports_check_mode=True, argument_spec=specification())
    if AESGCM is None:
        module.fail_json(msg=missing_required_lib("python3-cryptography"))
    wanted = module.params
    server = Server(wanted["url"], wanted["server_name"], wanted["ca"], wanted["user"], wanted["password"])
    state = State(server, dry=module.check_mode)
    try:
        wait_until_ready(server)
        for bucket in wanted["buckets"]:
            state.bucket(bucket)
        for user in wanted["users"]:
            state.user(user)
        if wanted["probe"] and not module.check_mode:
            probe(server, wanted["probe"])
    except (RefusedError, OSError, ValueError) as error:
        module.fail_json(msg=f"{wanted['url']}: {error}", changes=state.changes, changed=bool(state.changes))
    if any(sentence.startswith("make bucket") for sentence in state.changes):
        advise(module)
    told = "".join(f"{sentence}\n" for sentence in state.changes)
    module.exit_json(changed=bool(state.changes), changes=state.changes, diff={"before": "", "after": told})


if __name__ == "__main__":
    main()
