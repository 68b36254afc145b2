from datetime import UTC, datetime
from urllib.parse import urlsplit

from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from aisha_embedded import s3_probe


def test_the_signature_is_the_one_a_whole_client_makes() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ours = s3_probe.signed_headers("127.0.0.1:9000", "key", "secret", now)
    headers = {
        "Host": "127.0.0.1:9000",
        "x-amz-content-sha256": s3_probe.EMPTY,
        "x-amz-date": ours["x-amz-date"],
    }
    theirs = sign_v4_s3(
        method="GET",
        url=urlsplit("http://127.0.0.1:9000/"),
        region=s3_probe.REGION,
        headers=headers,
        credentials=Credentials(access_key="key", secret_key="secret"),
        content_sha256=s3_probe.EMPTY,
        date=now,
    )
    assert ours["Authorization"] == theirs["Authorization"]
