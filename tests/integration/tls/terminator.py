"""TLS in front of a service without it, with a certificate of a CA made for the test."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

POSTGRES_SSL_REQUEST = 8
"""Bytes of PostgreSQL's SSLRequest, which is answered in plain text before TLS begins."""


class Authority:
    """A CA with one server certificate, for 127.0.0.1 or a name; both are files in a folder."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.file = folder / "ca.crt"
        own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = f"Authority of {folder.name}"
        ca = _certificate(name, own, name, own, ca=True)
        self.file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        server = _certificate(host, key, name, own, ca=False)
        chain, private = folder / "server.crt", folder / "server.key"
        chain.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(chain, private)


@asynccontextmanager
async def encrypted(port: int, context: ssl.SSLContext, *, postgres: bool = False) -> AsyncIterator[int]:
    """Yield a TLS port that forwards to a plain one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            if postgres:
                await reader.readexactly(POSTGRES_SSL_REQUEST)
                writer.write(b"S")
                await writer.start_tls(context)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            with closing(far_writer):
                ways = [
                    asyncio.create_task(_copy(reader, far_writer)),
                    asyncio.create_task(_copy(far_reader, writer)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
