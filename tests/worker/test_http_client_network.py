"""Which address the HTTP client connects to, and what it tells of an address that it did not reach."""

from datetime import timedelta

import pytest

from shared.security.guarded_network import Resolver
from shared.security.lookup_slots import LookupSlots
from tests.network import Lookup, RecordingBackend, hanging, resolving_to
from tests.servers import Receiver
from tests.worker.support import settings
from worker.net import http_client

__all__ = ["hanging"]
pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "receiver.example"


def post(url: str, network: http_client.Network, seconds: float = 5) -> http_client.Response:
    return http_client.post(url, b"{}", {}, timedelta(seconds=seconds), network)


def failure(url: str, network: http_client.Network, seconds: float = 5) -> tuple[str, str | None]:
    """The sentence, and the address that was connected to last."""
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        post(url, network, seconds)
    return str(undeliverable.value), undeliverable.value.address


def recording(lookup: Lookup, *failures: OSError) -> tuple[http_client.Network, list[tuple[str, int]]]:
    backend = RecordingBackend(*failures)
    return http_client.Network(Resolver(lookup), backend), backend.connected


def port_of(receiver: Receiver) -> int:
    return int(receiver.url.split(":")[2].split("/")[0])


def test_exactly_the_checked_address_is_connected_to_and_a_changed_answer_is_checked_again() -> None:
    network, connected = recording(resolving_to(["8.8.8.8"], ["10.0.0.1"], ["127.0.0.1"]))
    assert failure(f"https://{NAME}/", network) == ("no connection: Connection refused", "8.8.8.8:443")
    assert failure(f"https://{NAME}/", network) == ("not connected: it leads to a private or reserved network", None)
    assert connected == [("8.8.8.8", 443)]


def test_a_name_is_resolved_once_and_sent_in_the_host_header(receiver: Receiver) -> None:
    port = port_of(receiver)
    answer = post(f"http://{NAME}:{port}/hook?a=b", http_client.Network(Resolver(resolving_to(["127.0.0.1"]))))
    assert (answer.status, answer.address) == (200, f"127.0.0.1:{port}")
    assert receiver.received[0][0]["host"] == f"{NAME}:{port}"


def test_an_address_that_does_not_answer_is_followed_by_the_next(receiver: Receiver) -> None:
    network = http_client.Network(Resolver(lambda name: ["::1", "127.0.0.1"]))
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8", "::1/128"]'):
        assert post(f"http://{NAME}:{port_of(receiver)}/", network).address == f"127.0.0.1:{port_of(receiver)}"


def test_families_take_turns_and_only_a_few_addresses_are_tried() -> None:
    sixes, fours = [f"2606:4700::{n}" for n in range(1, 9)], [f"8.8.8.{n}" for n in range(1, 9)]
    unreachable = OSError(101, "Network is unreachable")
    network, connected = recording(
        lambda name: sixes + fours, unreachable, TimeoutError(), TimeoutError(), TimeoutError()
    )
    assert failure(f"https://{NAME}:8443/", network, 60) == ("no connection within 5 s", "8.8.8.2:8443")
    assert [address for address, _ in connected] == ["2606:4700::1", "8.8.8.1", "2606:4700::2", "8.8.8.2"]


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    network, _ = recording(lambda name: [])
    assert failure("https://[2606:4700:0::1111]/", network)[1] == "[2606:4700::1111]:443"


def test_a_lookup_that_hangs_ends_at_its_own_timeout_or_at_the_calls(hanging: Lookup) -> None:
    slow = http_client.Network(Resolver(hanging, timeout_seconds=0.1))
    assert failure(f"https://{NAME}/", slow) == ("the name was not resolved within 0.1 s", None)
    sentence, _ = failure(f"https://{NAME}/", http_client.Network(Resolver(hanging)), 0.2)
    assert sentence.startswith("the name was not resolved within 0.")


def test_lookups_that_hang_are_bounded_in_number(hanging: Lookup) -> None:
    network = http_client.Network(Resolver(hanging, timeout_seconds=0.05, slots=LookupSlots(2)))
    sentences = [failure(f"https://{NAME}/", network)[0] for _ in range(3)]
    assert sentences == ["the name was not resolved within 0.05 s"] * 2 + [
        "the name was not looked up: too many lookups are pending"
    ]


def test_a_lookup_that_has_ended_makes_room_for_the_next() -> None:
    resolver = Resolver(lambda name: ["8.8.8.8"], slots=LookupSlots(1))
    network = http_client.Network(resolver, RecordingBackend())
    assert {failure(f"https://{NAME}/", network)[1] for _ in range(20)} == {"8.8.8.8:443"}


def test_a_name_that_no_name_server_knows_is_reported() -> None:
    assert failure("https://nobody.invalid/", http_client.NETWORK)[0].startswith("the name cannot be resolved: ")


@pytest.mark.parametrize("url", [f"http://{NAME}/", "http://8.8.8.8/", f"http://{NAME}:443/"])
def test_plain_http_is_for_allowed_networks_only(url: str) -> None:
    network, connected = recording(lambda name: ["8.8.8.8"])
    assert "a public address without TLS" in failure(url, network)[0]
    assert connected == []


def test_a_port_that_is_not_allowed_is_not_connected_to_at_a_public_address() -> None:
    network, connected = recording(lambda name: ["8.8.8.8"])
    sentence, _ = failure(f"https://{NAME}:25/", network)  # at create the name might still lead to an allowed network
    assert sentence == (
        "not connected: it leads to port 25 of a public address, where only 443 or 8443 may be connected to"
    )
    assert connected == []


def test_a_name_that_leads_to_the_installations_own_address_is_not_connected_to() -> None:
    network, connected = recording(lambda name: ["1.1.1.1", "8.8.8.8"])
    with settings(TUNERY_OWN_HOSTS='["8.8.8.8", "tunery.example"]'):
        assert failure(f"https://{NAME}/", network)[0] == "not connected: it leads to this installation itself"
        assert "this installation" in failure("https://tunery.example/", network)[0]
    assert connected == []
