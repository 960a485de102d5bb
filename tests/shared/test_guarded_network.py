"""Which addresses the guarded network backends connect to, in which order, and what they say when they do not."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from threading import Timer

import httpx2
import pytest
from httpcore2 import ConnectError, ConnectTimeout

from shared.security.guarded_network import RECEIVE_BUFFER, AsyncGuardedBackend, GuardedBackend, Resolver, install
from shared.security.lookup_slots import LookupSlots
from tests.hostile_servers import DRIPPING
from tests.network import AsyncRecordingBackend, Lookup, RecordingBackend, hanging, resolving_to
from tests.servers import talking
from tests.worker.support import settings

__all__ = ["hanging"]
pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "receiver.example"

Connect = Callable[[str, int, str, Resolver, tuple[OSError, ...]], tuple[list[str], str]]


def connect(
    host: str, port: int, scheme: str, resolver: Resolver, failures: tuple[OSError, ...] = ()
) -> tuple[list[str], str]:
    """The addresses that were tried, and the sentence of the failure."""
    backend = RecordingBackend(*failures)
    with pytest.raises((ConnectError, ConnectTimeout)) as failed:
        GuardedBackend(scheme, backend, resolver).connect_tcp(host, port)
    return backend.addresses, str(failed.value)


def connect_async(
    host: str, port: int, scheme: str, resolver: Resolver, failures: tuple[OSError, ...] = ()
) -> tuple[list[str], str]:
    backend = AsyncRecordingBackend(*failures)
    with pytest.raises((ConnectError, ConnectTimeout)) as failed:
        asyncio.run(AsyncGuardedBackend(scheme, backend, resolver).connect_tcp(host, port))
    return backend.addresses, str(failed.value)


both = pytest.mark.parametrize("connect", [connect, connect_async], ids=["sync", "async"])
REFUSED = "no connection: Connection refused"
PRIVATE = "not connected: it leads to a private or reserved network"
SIXES, FOURS = [f"2606:4700::{n}" for n in range(1, 9)], [f"8.8.8.{n}" for n in range(1, 9)]


@both
@pytest.mark.parametrize(
    ("answer", "tried"),
    [
        (["8.8.8.8"], ["8.8.8.8"]),
        (["8.8.8.8", "8.8.8.8"], ["8.8.8.8"]),
        (["::ffff:8.8.8.8", "8.8.8.8"], ["8.8.8.8"]),
        (FOURS, FOURS[:4]),
        (["8.8.8.1", "8.8.8.2", "2606:4700::1"], ["8.8.8.1", "2606:4700::1", "8.8.8.2"]),
        (SIXES + FOURS, ["2606:4700::1", "8.8.8.1", "2606:4700::2", "8.8.8.2"]),
    ],
    ids=["one", "twice", "mapped", "many", "both families", "many of both families"],
)
def test_each_permitted_address_is_tried_once_families_in_turn_four_at_most(
    connect: Connect, answer: list[str], tried: list[str]
) -> None:
    assert connect(NAME, 443, "https", Resolver(lambda name: answer), ()) == (tried, REFUSED)


@both
@pytest.mark.parametrize(
    ("host", "port", "scheme", "answer", "sentence"),
    [
        (NAME, 443, "https", ["10.0.0.1"], PRIVATE),
        (NAME, 443, "https", ["8.8.8.8", "10.0.0.1"], PRIVATE),
        (NAME, 443, "https", ["::ffff:169.254.169.254"], PRIVATE),
        (NAME, 443, "http", ["8.8.8.8"], "not connected: it leads to a public address without TLS"),
        (NAME, 25, "https", ["8.8.8.8"], "not connected: it leads to port 25 of a public address, where only 443 or"),
        ("8.8.8.8", 443, "http", [], "The address must not lead to a public address without TLS"),
        ("10.0.0.1", 443, "https", [], "The address must not lead to a private or reserved network"),
        ("fe80::1", 443, "https", [], "The address must not lead to a private or reserved network"),
        ("0x7f.1", 443, "https", [], "An IPv4 address must be written as four decimal numbers"),
        ("2130706433", 443, "https", [], "An IPv4 address must be written as four decimal numbers"),
    ],
)
def test_a_forbidden_address_is_not_connected_to(
    connect: Connect, host: str, port: int, scheme: str, answer: list[str], sentence: str
) -> None:
    tried, failure = connect(host, port, scheme, Resolver(lambda name: answer), ())
    assert tried == []
    assert failure.startswith(sentence)


@both
def test_names_that_only_a_private_network_knows_are_refused_before_they_are_looked_up(connect: Connect) -> None:
    resolver = Resolver(lambda name: pytest.fail(f"{name} was looked up"))
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]"):
        for host in ("localhost", "db", "metadata.google.internal", "printer.local"):
            tried, failure = connect(host, 443, "https", resolver, ())
            assert tried == []
            assert failure.startswith("The address must be a public name: this one is only known inside of a network")


@both
def test_an_answer_that_changes_between_two_connections_is_checked_again(connect: Connect) -> None:
    resolver = Resolver(resolving_to(["8.8.8.8"], ["10.0.0.1"]))
    assert connect(NAME, 443, "https", resolver, ()) == (["8.8.8.8"], REFUSED)
    assert connect(NAME, 443, "https", resolver, ()) == ([], PRIVATE)


@both
@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (TimeoutError(), "no connection within 5 s"),
        (OSError(101, "Network is unreachable"), "no connection: Network is unreachable"),
        (ConnectionResetError("a word of the other side"), "no connection: ConnectionResetError"),
    ],
)
def test_the_sentence_says_why_the_last_address_failed(connect: Connect, failure: OSError, sentence: str) -> None:
    assert connect(NAME, 443, "https", Resolver(lambda name: ["8.8.8.8"]), (failure,)) == (["8.8.8.8"], sentence)


@both
def test_a_lookup_that_hangs_is_given_up_and_keeps_its_slot(connect: Connect, hanging: Lookup) -> None:
    resolver = Resolver(hanging, timeout_seconds=0.05, slots=LookupSlots(2))
    failures = [connect(NAME, 443, "https", resolver, ())[1] for _ in range(3)]
    assert failures == ["the name was not resolved within 0.05 s"] * 2 + [
        "the name was not looked up: too many lookups are pending"
    ]


@both
def test_a_project_whose_names_hang_takes_its_share_of_the_lookups_and_no_more(
    connect: Connect, hanging: Lookup
) -> None:
    resolver = Resolver(
        lambda name: hanging(name) if name == "hangs.example" else ["8.8.8.8"],
        timeout_seconds=0.05,
        slots=LookupSlots(total=4, per_project=2),
        project_id="proj_alice",
    )
    for _ in range(2):
        assert "was not resolved" in connect("hangs.example", 443, "https", resolver, ())[1]
    assert connect(NAME, 443, "https", resolver, ())[1].endswith("too many lookups are pending")
    for other in ("proj_bob", None):
        patient = replace(resolver, project_id=other, timeout_seconds=60)
        assert connect(NAME, 443, "https", patient, ()) == (["8.8.8.8"], REFUSED)


@both
def test_a_lookup_waits_for_a_slot(connect: Connect) -> None:
    slots = LookupSlots(total=1)
    assert slots.acquire("proj_bob")
    Timer(0.1, slots.release, ["proj_bob"]).start()
    resolver = Resolver(lambda name: ["8.8.8.8"], timeout_seconds=60, slots=slots)
    assert connect(NAME, 443, "https", resolver, ())[1] == REFUSED


@both
def test_a_lookup_that_has_ended_frees_its_slot_for_the_next(connect: Connect) -> None:
    resolver = Resolver(lambda name: ["8.8.8.8"], slots=LookupSlots(1))
    assert {connect(NAME, 443, "https", resolver, ())[1] for _ in range(20)} == {REFUSED}


@both
def test_a_lookup_that_fails_is_told_in_the_systems_words_or_ours(connect: Connect) -> None:
    assert connect("nobody.invalid", 443, "https", Resolver(), ())[1].startswith("the name cannot be resolved: ")
    broken = Resolver(resolving_to())
    assert connect(NAME, 443, "https", broken, ())[1] == "the name cannot be resolved: it is no valid name"


def test_connecting_ends_at_the_deadline() -> None:
    backend = RecordingBackend()
    with pytest.raises(ConnectTimeout, match="no time was left to connect"):
        GuardedBackend("https", backend, Resolver(lambda name: ["8.8.8.8"]), deadline=0).connect_tcp(NAME, 443)
    assert backend.addresses == []


def test_a_connection_of_asyncio_keeps_little_of_what_nobody_reads() -> None:
    async def room(port: int) -> int:
        stream = await AsyncGuardedBackend(None).connect_tcp("127.0.0.1", port)
        size: int = stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        await stream.aclose()
        return size

    with talking(DRIPPING["silence"]) as visits:
        assert asyncio.run(room(visits.port)) <= 4 * RECEIVE_BUFFER[2]


def test_the_guard_refuses_a_transport_that_keeps_its_backend_elsewhere() -> None:
    backend = GuardedBackend("https")
    transport = httpx2.HTTPTransport()
    install(backend, transport)
    assert transport._pool._network_backend is backend
    with pytest.raises(TypeError, match="keeps its network backend elsewhere"):
        install(backend, object())
