"""The way to a stranger: what its name leads to, which address is dialled, and whose certificate is believed."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import BoundedSemaphore, Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers import Receiver, talking
from tests.worker.levers import settings
from worker.net import http_client
from worker.net.dial import Dialler

pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "receiver.example"


def post(url: str, dialler: Dialler, timeout: float = 5) -> http_client.Response:
    return http_client.post(url, b"{}", {}, timedelta(seconds=timeout), dialler)


def failure(url: str, dialler: Dialler, timeout: float = 5) -> tuple[str, str | None]:
    """Why there was no answer, and which address was dialled last."""
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        post(url, dialler, timeout)
    return str(undeliverable.value), undeliverable.value.address


class Recorder:
    """Dials nobody: remembers who would have been dialled, and fails as it is told to."""

    def __init__(self, *failures: OSError) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.failures = list(failures)

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        self.dialled.append((address, port))
        raise self.failures.pop(0) if self.failures else ConnectionRefusedError(111, "Connection refused")


def resolver(*answers: list[str]) -> Callable[[str], list[str]]:
    """A resolver whose answer changes from one look-up to the next."""
    left = list(answers)
    return lambda name: left.pop(0)


def test_exactly_the_checked_address_is_dialled_and_a_changed_answer_is_judged_anew() -> None:
    seen = Recorder()
    dialler = Dialler(look_up=resolver(["8.8.8.8"], ["10.0.0.1"], ["127.0.0.1"]), connect=seen.connect)
    assert failure(f"https://{NAME}/", dialler) == ("no connection: Connection refused", "8.8.8.8:443")
    assert failure(f"https://{NAME}/", dialler) == ("not dialled: it leads to a private or reserved network", None)
    assert seen.dialled == [("8.8.8.8", 443)]


def test_a_name_is_resolved_once_and_asked_for_by_its_name(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    answer = post(f"http://{NAME}:{port}/hook?a=b", Dialler(look_up=resolver(["127.0.0.1"])))
    assert (answer.status, answer.address) == (200, f"127.0.0.1:{port}")
    assert receiver.received[0][0]["host"] == f"{NAME}:{port}"


def test_an_address_that_does_not_answer_is_followed_by_the_next(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    dialler = Dialler(look_up=lambda name: ["::1", "127.0.0.1"])
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8", "::1/128"]'):
        assert post(f"http://{NAME}:{port}/", dialler).address == f"127.0.0.1:{port}"


def test_families_take_turns_and_only_a_few_addresses_are_dialled() -> None:
    sixes, fours = [f"2606:4700::{n}" for n in range(1, 9)], [f"8.8.8.{n}" for n in range(1, 9)]
    seen = Recorder(OSError(101, "Network is unreachable"), TimeoutError(), TimeoutError(), TimeoutError())
    dialler = Dialler(look_up=lambda name: sixes + fours, connect=seen.connect)
    assert failure(f"https://{NAME}:8443/", dialler, 60) == ("no connection within 5 s", "8.8.8.2:8443")
    assert [address for address, _ in seen.dialled] == ["2606:4700::1", "8.8.8.1", "2606:4700::2", "8.8.8.2"]


def test_an_ipv6_address_is_told_in_brackets() -> None:
    dialler = Dialler(connect=Recorder().connect)
    assert failure("https://[2606:4700:0::1111]/", dialler)[1] == "[2606:4700::1111]:443"


@pytest.fixture
def hanging() -> Iterator[Callable[[str], list[str]]]:
    """A resolver that does not answer before the test is over."""
    over = Event()
    yield lambda name: ["8.8.8.8"] if over.wait(60) else []
    over.set()


def test_a_look_up_that_hangs_holds_nobody(hanging: Callable[[str], list[str]]) -> None:
    slow = Dialler(look_up=hanging, look_up_seconds=0.1)
    assert failure(f"https://{NAME}/", slow) == ("the name was not resolved within 0.1 s", None)
    assert failure(f"https://{NAME}/", Dialler(look_up=hanging), 0.2)[0].startswith(
        "the name was not resolved within 0."
    )


def test_only_so_many_look_ups_hang_at_once(hanging: Callable[[str], list[str]]) -> None:
    dialler = Dialler(look_up=hanging, look_up_seconds=0.05, look_ups=BoundedSemaphore(2))
    whys = [failure(f"https://{NAME}/", dialler)[0] for _ in range(3)]
    assert whys == ["the name was not resolved within 0.05 s"] * 2 + [
        "the name was not looked up: too many look-ups hang"
    ]


def test_a_look_up_that_has_ended_makes_room_for_the_next() -> None:
    dialler = Dialler(look_up=lambda name: ["8.8.8.8"], connect=Recorder().connect, look_ups=BoundedSemaphore(1))
    assert {failure(f"https://{NAME}/", dialler)[1] for _ in range(20)} == {"8.8.8.8:443"}


def test_a_name_that_nobody_knows_is_told() -> None:
    assert failure("https://nobody.invalid/", Dialler())[0].startswith("the name cannot be resolved: ")


@pytest.mark.parametrize("url", [f"http://{NAME}/", "http://8.8.8.8/", f"http://{NAME}:443/"])
def test_plain_http_is_for_allowed_networks_only(url: str) -> None:
    seen = Recorder()
    why, _ = failure(url, Dialler(look_up=lambda name: ["8.8.8.8"], connect=seen.connect))
    assert "a public address without TLS" in why
    assert seen.dialled == []


def test_a_port_that_is_not_allowed_is_not_dialled_at_a_public_address() -> None:
    seen = Recorder()
    dialler = Dialler(look_up=lambda name: ["8.8.8.8"], connect=seen.connect)
    why, _ = failure(f"https://{NAME}:25/", dialler)  # at create a name may still lead to an allowed network
    assert why == "not dialled: it leads to port 25 of a public address, where only 443 or 8443 may be dialled"
    assert seen.dialled == []


def test_a_name_that_leads_to_one_of_our_own_addresses_is_not_dialled() -> None:
    seen = Recorder()
    with settings(TUNERY_OWN_HOSTS='["8.8.8.8", "tunery.example"]'):
        dialler = Dialler(look_up=lambda name: ["1.1.1.1", "8.8.8.8"], connect=seen.connect)
        assert failure(f"https://{NAME}/", dialler)[0] == "not dialled: it leads to this installation itself"
        assert "this installation" in failure("https://tunery.example/", dialler)[0]
    assert seen.dialled == []


class Authority:
    """Somebody who signs certificates, as files with their keys."""

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
        """A certificate for a day that began `age` days ago."""
        key, path = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{names[0]}-{age}.pem"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made = self._sign(subject, key, x509.SubjectAlternativeName([_alternative(name) for name in names]), age)
        pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
        path.write_bytes(private + made.public_bytes(pem))
        return path

    def believed(self) -> ssl.SSLContext:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)


def _alternative(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def secured(certificate: Path, heard: list[bytes]) -> Callable[[socket.socket, Event], None]:
    """Speaks HTTP behind this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(visitor: socket.socket, over: Event) -> None:
        with context.wrap_socket(visitor, server_side=True) as secured:
            heard.append(secured.recv(65536))
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return talk


def test_a_certificate_for_the_name_is_believed(authority: Authority) -> None:
    heard: list[bytes] = []
    dialler = Dialler(look_up=lambda name: ["127.0.0.1"], tls=authority.believed)
    with talking(secured(authority.signed(NAME, "127.0.0.1"), heard)) as visits:
        for host in (NAME, f"{NAME.upper()}.", "127.0.0.1"):
            assert post(f"https://{host}:{visits.port}/", dialler).status == 204
    assert heard[0].startswith(b"POST / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("names", "age", "why"),
    [
        (["other.example"], 0, "Hostname mismatch"),
        ([NAME], 5, "certificate has expired"),
        ([NAME], -5, "not yet valid"),
    ],
)
def test_a_wrong_certificate_gets_no_word(authority: Authority, names: list[str], age: int, why: str) -> None:
    heard: list[bytes] = []
    dialler = Dialler(look_up=lambda name: ["127.0.0.1"], tls=authority.believed)
    with talking(secured(authority.signed(*names, age=age), heard)) as visits:
        told, address = failure(f"https://{NAME}:{visits.port}/", dialler)
    assert told.startswith("its TLS certificate is not accepted: ")
    assert why in told
    assert (address, heard) == (f"127.0.0.1:{visits.port}", [])


def test_a_certificate_that_nobody_vouches_for_gets_no_word(authority: Authority) -> None:
    heard: list[bytes] = []
    with talking(secured(authority.signed("127.0.0.1"), heard)) as visits:
        why, _ = failure(f"https://127.0.0.1:{visits.port}/", Dialler())
    assert why == "its TLS certificate is not accepted: unable to get local issuer certificate"
    assert heard == []


HANDSHAKES: dict[str, tuple[bytes | None, str]] = {
    "plain HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the TLS handshake failed: wrong version number"),
    "an end": (None, "the connection was closed during the TLS handshake"),
}


def answering(said: bytes | None) -> Callable[[socket.socket, Event], None]:
    """Says this to whoever greets, and waits; or hangs up."""

    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(65536)
        if said is not None:
            visitor.sendall(said)
            over.wait(5)

    return talk


@pytest.mark.parametrize(("said", "why"), HANDSHAKES.values(), ids=HANDSHAKES.keys())
def test_a_handshake_that_fails_is_told(said: bytes | None, why: str) -> None:
    with talking(answering(said)) as visits:
        assert failure(f"https://127.0.0.1:{visits.port}/", Dialler()) == (why, f"127.0.0.1:{visits.port}")


def test_a_handshake_that_does_not_go_on_holds_nobody() -> None:
    with talking(answering(b"")) as visits:
        why, _ = failure(f"https://127.0.0.1:{visits.port}/", Dialler(connect_seconds=0.2))
    assert why == "the TLS handshake did not end within 0.2 s"
