"""The servers of the scenario minio, as S3's clients see them."""

import io

import urllib3
from hosts import CACHE, address_of
from minio import Minio, S3Error

PASSWORDS = {
    "root": "a-root-password-9d1",
    "app": "an-app-password-7a2",
    "exporter": "my-exporter-password-5c3",
    "auditor": "an-auditor-password-3e8",
    "keeper": "my-keeper-password-6f4",
}
AUTHORITY = CACHE / "minio-ca.pem"
SINGLE, SET = "minio-bookworm", "minio-trixie"


def address(name):
    """Return where this machine reaches a host's server."""
    return address_of(name) + ":9000"


def pool(host, authority=AUTHORITY):
    """Return what speaks TLS with the host, and does not try twice."""
    name = host.backend.host
    return urllib3.PoolManager(
        ca_certs=str(authority), assert_hostname=name, server_hostname=name, retries=False, timeout=10
    )


def client(host, user, password=None):
    """Return S3 as a user sees it; as nobody sees it for None."""
    secret = password or PASSWORDS.get(user)
    return Minio(address(host.backend.host), user, secret, http_client=pool(host), region="us-east-1")


def put(s3, key, data=b"hello", bucket="aisha"):
    s3.put_object(bucket, key, io.BytesIO(data), len(data))


def get(s3, key, bucket="aisha"):
    response = s3.get_object(bucket, key)
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def read_or_none(host, key):
    try:
        return get(client(host, "app"), key)
    except (S3Error, urllib3.exceptions.HTTPError):
        return None
