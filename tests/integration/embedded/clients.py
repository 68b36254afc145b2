"""Ordinary clients of the embedded services, from the variables that the app gets."""

import io
from urllib.parse import urlsplit

import psycopg
import redis
import urllib3
from minio import Minio

Environment = dict[str, str]


def store(env: Environment, name: str) -> None:
    """Write a row, a key and an object of this name."""
    with psycopg.connect(env["AISHA_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (name text PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (%s)", [name])
    redis.Redis.from_url(env["AISHA_REDIS_URL"]).set(name, name)
    s3(env).put_object(env["AISHA_S3_BUCKET"], name, io.BytesIO(name.encode()), len(name))


def kept(env: Environment, name: str) -> set[str]:
    """Return which of the services still have what `store` wrote."""
    found = set()
    with psycopg.connect(env["AISHA_DATABASE_URL"]) as connection:
        if connection.execute("SELECT 1 FROM kept WHERE name = %s", [name]).fetchone():
            found.add("postgres")
    if redis.Redis.from_url(env["AISHA_REDIS_URL"]).get(name) == name.encode():
        found.add("redis")
    if s3(env).get_object(env["AISHA_S3_BUCKET"], name).data == name.encode():
        found.add("s3")
    return found


def s3(env: Environment, access: str | None = "", secret: str | None = "") -> Minio:
    """Return a client; with None it sends no signature."""
    return Minio(
        urlsplit(env["AISHA_S3_ENDPOINT"]).netloc,
        access_key=env["AISHA_S3_ACCESS_KEY"] if access == "" else access,
        secret_key=env["AISHA_S3_SECRET_KEY"] if secret == "" else secret,
        secure=False,
        http_client=urllib3.PoolManager(retries=False, timeout=10),
    )
