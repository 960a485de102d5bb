"""Whose certificate the HTTP client accepts, and what it tells of a TLS handshake that fails."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.security.guarded_network import Resolver
from tests.servers import talking
from worker.net import http_client

pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "receiver.example"
LOCAL = Resolver(lambda name: ["127.0.0.1"])


def post(url: str, network: http_client.Network, seconds: float = 5) -> http_client.Response:
    return http_client.post(url, b"{}", {}, timedelta(seconds=seconds), network)


def failure(url: str, network: http_client.Network, seconds: float = 5) -> tuple[str, str | None]:
    """The sentence, and the address that was connected to last."""
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        post(url, network, seconds)
    return str(undeliverable.value), undeliverable.value.address


class Authority:
    """A certificate authority whose certificates are files with their keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, age: int = 0
    ) -> x509.Certificate:
        start = datetime.now(UTC) - timedelta(days=age, minutes=1)
        serial = x509.random_serial_number()
        end = start + timedelta(days=1)
        builder = x509.CertificateBuilder(self.name, name, key.public_key(), serial, start, end)
        return builder.add_extension(extension, critical=True).sign(self.key, hashes.SHA256())

    def signed(self, *names: str, age: int = 0) -> Path:
        """A certificate that is valid for one day, which began `age` days ago."""
        key, path = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{names[0]}-{age}.pem"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made = self._sign(subject, key, x509.SubjectAlternativeName([_alternative(name) for name in names]), age)
        pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
        path.write_bytes(private + made.public_bytes(pem))
        return path

    def trusted(self) -> ssl.SSLContext:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)


def _alternative(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def secured(certificate: Path, received: list[bytes]) -> Callable[[socket.socket, Event], None]:
    """Answers 204 behind this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(visitor: socket.socket, over: Event) -> None:
        with context.wrap_socket(visitor, server_side=True) as secured:
            received.append(secured.recv(65536))
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return talk


def test_a_certificate_for_the_name_is_accepted(authority: Authority) -> None:
    received: list[bytes] = []
    network = http_client.Network(LOCAL, tls=authority.trusted())
    with talking(secured(authority.signed(NAME, "127.0.0.1"), received)) as visits:
        for host in (NAME, f"{NAME.upper()}.", "127.0.0.1"):
            assert post(f"https://{host}:{visits.port}/", network).status == 204
    assert received[0].startswith(b"POST / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("names", "age", "why"),
    [
        (["other.example"], 0, "Hostname mismatch"),
        ([NAME], 5, "certificate has expired"),
        ([NAME], -5, "not yet valid"),
    ],
)
def test_nothing_is_sent_behind_a_wrong_certificate(authority: Authority, names: list[str], age: int, why: str) -> None:
    received: list[bytes] = []
    network = http_client.Network(LOCAL, tls=authority.trusted())
    with talking(secured(authority.signed(*names, age=age), received)) as visits:
        sentence, address = failure(f"https://{NAME}:{visits.port}/", network)
    assert sentence.startswith("its TLS certificate is not accepted: ")
    assert why in sentence
    assert (address, received) == (f"127.0.0.1:{visits.port}", [])


def test_nothing_is_sent_behind_a_certificate_of_an_unknown_authority(authority: Authority) -> None:
    received: list[bytes] = []
    with talking(secured(authority.signed("127.0.0.1"), received)) as visits:
        sentence, _ = failure(f"https://127.0.0.1:{visits.port}/", http_client.NETWORK)
    assert sentence == "its TLS certificate is not accepted: unable to get local issuer certificate"
    assert received == []


HANDSHAKES: dict[str, tuple[bytes | None, str]] = {
    "plain HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the TLS handshake failed: wrong version number"),
    "an end": (None, "the connection was closed during the TLS handshake"),
}


def answering(said: bytes | None) -> Callable[[socket.socket, Event], None]:
    """Answers the first bytes with `said` and waits, or closes the connection."""

    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(65536)
        if said is not None:
            visitor.sendall(said)
            over.wait(5)

    return talk


@pytest.mark.parametrize(("said", "why"), HANDSHAKES.values(), ids=HANDSHAKES.keys())
def test_the_reason_of_a_failed_handshake_is_reported(said: bytes | None, why: str) -> None:
    with talking(answering(said)) as visits:
        assert failure(f"https://127.0.0.1:{visits.port}/", http_client.NETWORK) == (why, f"127.0.0.1:{visits.port}")


def test_a_handshake_that_does_not_go_on_ends_at_the_timeout() -> None:
    with talking(answering(b"")) as visits:
        sentence, _ = failure(f"https://127.0.0.1:{visits.port}/", http_client.NETWORK, 0.2)
    assert sentence == "the TLS handshake did not end within 0.2 s"
