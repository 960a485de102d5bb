"""POST to a stranger's address, who may be anybody, anywhere, and in no hurry."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.webhooks.addresses import is_allowed
from tests.servers import Receiver, Visits, talking
from tests.worker.levers import settings
from worker import sender

pytestmark = pytest.mark.usefixtures("server")  # for the settings
SHORT = timedelta(seconds=0.4)
Talk = Callable[[socket.socket, Event], None]

LOOPBACK = str.split("""
    127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0x7f.0.0.1 0177.0.0.1 017700000001 0 0.0.0.0 127.127.127.127
    [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1] [::ffff:0:0]
    localhost LOCALHOST
""")
OTHERS = str.split("""
    10.0.0.1 10.255.255.255 167772161 0xa000001 012.0.0.1 100.64.0.1 100.100.100.200 169.254.169.254 2852039166
    172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    240.0.0.1 255.255.255.255 168.63.129.16 [::ffff:10.0.0.1] [::10.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::a9fe:a9fe]
    [2002:7f00:1::] [2001::1] [2001:db8::1] [100::1] [3fff::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fe80::1] [fec0::1]
    [ff02::1]
""")
PUBLIC = str.split("""
    1.1.1.1 8.8.8.8 93.184.216.34 172.15.0.1 172.32.0.1 192.167.1.1 100.128.0.1 2606:4700::1111 2a00:1450::1
""")


@pytest.fixture
def strict() -> Iterator[None]:
    """Settings that allow no private network, as they come."""
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]"):
        yield


@pytest.fixture
def silent() -> Iterator[Visits]:
    """A server that must not be visited."""
    with talking(lambda visitor, over: None) as visits:
        yield visits


def post(url: str, timeout: timedelta = timedelta(seconds=5)) -> sender.Response:
    return sender.post(url, b"{}", {"content-type": "application/json"}, timeout)


def to(talk: Talk, timeout: timedelta = SHORT) -> sender.Response:
    """A POST to a server that talks like this."""
    with talking(talk) as visits:
        return post(f"http://127.0.0.1:{visits.port}/", timeout)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_ourselves_are_not_dialled_however_we_are_spelled(strict: None, silent: Visits, host: str, scheme: str) -> None:
    with pytest.raises(sender.Undeliverable, match="private or reserved network"):
        post(f"{scheme}://{host}:{silent.port}/")
    assert silent.count == 0


@pytest.mark.parametrize("host", OTHERS)
def test_no_private_or_reserved_network_is_dialled(host: str) -> None:
    with pytest.raises(sender.Undeliverable, match="private or reserved network"):
        post(f"https://{host}/")


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost"])
def test_digits_in_circles_lead_nowhere(strict: None, silent: Visits, host: str) -> None:
    with pytest.raises(sender.Undeliverable):
        post(f"http://{host}:{silent.port}/")
    assert silent.count == 0


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_dialled_and_never_without_tls(address: str) -> None:
    assert is_allowed(ip_address(address), "https")
    assert not is_allowed(ip_address(address), "http")


def test_a_public_address_is_not_even_dialled_without_tls() -> None:
    with pytest.raises(sender.Undeliverable, match="private or reserved network"):
        post("http://93.184.216.34/")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "", "http://", "http://a:b/"])
def test_what_is_no_web_address_is_undeliverable(url: str) -> None:
    with pytest.raises(sender.Undeliverable):
        post(url)


def test_a_name_that_nobody_knows_is_undeliverable() -> None:
    with pytest.raises(sender.Undeliverable, match="cannot be resolved"):
        post("https://nobody.invalid/")


def test_a_name_of_which_only_one_address_may_be_dialled_is_refused(silent: Visits) -> None:
    answers = {answer[4][0] for answer in socket.getaddrinfo("localhost", silent.port)}
    if answers != {"127.0.0.1", "::1"}:
        pytest.skip(f"localhost is {answers} here")
    with pytest.raises(sender.Undeliverable, match="private or reserved network"):
        post(f"http://localhost:{silent.port}/")
    assert silent.count == 0


def test_networks_that_the_operator_allowed_are_dialled(receiver: Receiver) -> None:
    assert post(receiver.url) == sender.Response(200, b"ok")
    assert post(receiver.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")).status == 200
    assert [body for _, body in receiver.received] == [b"{}"] * 2


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, silent: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{silent.port}")
    assert post(receiver.url).status == 200
    assert silent.count == 0


def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, silent: Visits) -> None:
    receiver.answers, receiver.headers = [307], {"location": f"http://127.0.0.1:{silent.port}/"}
    assert post(receiver.url).status == 307
    assert silent.count == 0


def saying(*pieces: bytes, every: float = 0, forever: bytes = b"") -> Talk:
    """Says this at once, and then one thing again and again."""

    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(65536)
        for piece in pieces:
            visitor.sendall(piece)
        while forever and not over.wait(every):
            visitor.sendall(forever)
        over.wait(0 if forever else 5)

    return talk


OK = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Talk] = {
    "silence": saying(b""),
    "a status line by the byte": saying(forever=b"H", every=0.05),
    "headers by the byte": saying(OK, forever=b"x", every=0.05),
    "header after header": saying(OK, forever=b"x: y\r\n", every=0.05),
    "one interim answer after another": saying(forever=b"HTTP/1.1 100 Continue\r\n\r\n", every=0.05),
    "a body by the byte": saying(OK, b"content-length: 9999\r\n\r\n", forever=b"x", every=0.05),
    "a body without an end": saying(OK, b"\r\n", forever=b"x", every=0.05),
    "a chunked body by the byte": saying(OK, b"transfer-encoding: chunked\r\n\r\n", forever=b"1\r\nx\r\n", every=0.05),
    "a body that is not finished": saying(OK, b"content-length: 10\r\n\r\nx"),
}


@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW.keys())
def test_nobody_holds_a_worker_for_longer_than_the_timeout(talk: Talk) -> None:
    with pytest.raises(sender.Undeliverable, match=r"no answer within 0\.4 s"):
        to(talk)


ENDLESS = {
    "body": saying(OK, b"\r\n", forever=b"x" * 65536),
    "chunks": saying(OK, b"transfer-encoding: chunked\r\n\r\n", forever=b"1000\r\n" + b"x" * 4096 + b"\r\n"),
}


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=ENDLESS.keys())
def test_of_an_endless_answer_no_more_is_read_than_is_kept(talk: Talk) -> None:
    answer = to(talk, timedelta(seconds=10))
    assert (answer.status, answer.body) == (200, b"x" * sender.READ_AT_MOST)


NONSENSE: dict[str, Talk] = {
    "endless headers": saying(OK, forever=b"x: " + b"y" * 4096 + b"\r\n"),
    "one endless header": saying(OK + b"x: ", forever=b"y" * 4096),
    "no HTTP": lambda visitor, over: visitor.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "an end": lambda visitor, over: None,
    "half an answer": lambda visitor, over: visitor.sendall(OK + b"content-length: 10\r\n\r\nx"),
}


@pytest.mark.parametrize("talk", NONSENSE.values(), ids=NONSENSE.keys())
def test_what_is_no_answer_is_undeliverable_at_once(talk: Talk) -> None:
    with pytest.raises(sender.Undeliverable) as undeliverable:
        to(talk, timedelta(seconds=10))
    assert "no answer within" not in str(undeliverable.value)
    assert str(undeliverable.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody but its owner has signed, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "us")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    path.write_bytes(private + made.public_bytes(encoding))
    return path


def test_a_certificate_that_nobody_vouches_for_gets_no_word(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def talk(visitor: socket.socket, over: Event) -> None:
        with context.wrap_socket(visitor, server_side=True) as secured:
            heard.append(secured.recv(65536))

    with talking(talk) as visits, pytest.raises(sender.Undeliverable, match="CERTIFICATE_VERIFY_FAILED"):
        post(f"https://127.0.0.1:{visits.port}/")
    assert (visits.count, heard) == (1, [])


def test_a_handshake_that_does_not_go_on_ends_with_the_timeout() -> None:
    with talking(saying(b"")) as visits, pytest.raises(sender.Undeliverable, match="no answer within"):
        post(f"https://127.0.0.1:{visits.port}/", SHORT)
