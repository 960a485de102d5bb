"""With an egress proxy everything that goes to strangers goes through it, and what the guard refuses is not sent."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from shared.security.egress import strangers_async_transport
from shared.security.guarded_network import Resolver
from tests.hostile_servers import OK, answering
from tests.network import resolving_to
from tests.proxies import Proxy, proxying
from tests.servers import Receiver, talking
from tests.worker.support import settings
from tests.worker.test_http_client_tls import Authority, secured
from worker.net import http_client
from worker.net.limited_client import LimitedClient
from worker.providers.openai.client import OpenAIProvider
from worker.providers.openai.parsing import STATUSES

pytestmark = pytest.mark.usefixtures("server")  # for the settings
NAME = "stranger.invalid"  # resolves nowhere but at the proxy
LONG = timedelta(seconds=60)
EMPTY_LIST = b'{"object": "list", "data": []}'


@contextmanager
def behind_proxy(port: int, user: str | None = None, **more: str) -> Iterator[Proxy]:
    with proxying({NAME: port}, user) as proxy, settings(TUNERY_EGRESS_PROXY=proxy.url, **more):
        yield proxy


def post(url: str, network: http_client.Network = http_client.NETWORK) -> http_client.Response:
    return http_client.post(url, b"{}", {}, LONG, network)


def refusal(url: str, network: http_client.Network = http_client.NETWORK) -> str:
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        post(url, network)
    return str(undeliverable.value)


@pytest.mark.parametrize("user", [None, "tunery:hunter2"])
def test_a_webhook_goes_through_the_proxy(receiver: Receiver, user: str | None) -> None:
    port = httpx2.URL(receiver.url).port or 0
    with behind_proxy(port, user) as proxy:
        answer = post(f"http://{NAME}:{port}/hook")
    assert (answer.status, answer.body, answer.address) == (200, b"ok", f"127.0.0.1:{proxy.port}")
    assert proxy.asked == [f"POST http://{NAME}:{port}/hook HTTP/1.1"]
    assert "hunter2" not in str(receiver.received)


def test_tls_goes_through_it_from_end_to_end(tmp_path: Path) -> None:
    authority, received = Authority(tmp_path), list[bytes]()
    network = http_client.Network(tls=authority.trusted())
    with talking(secured(authority.signed(NAME), received)) as visits, behind_proxy(visits.port) as proxy:
        assert post(f"https://{NAME}:8443/", network).status == 204
    assert proxy.asked == [f"CONNECT {NAME}:8443 HTTP/1.1"]
    assert received[0].startswith(b"POST / HTTP/1.1\r\n")


IPV6 = "2606:4700::1111"


def test_an_ipv6_address_is_asked_for_in_brackets_and_its_certificate_without(tmp_path: Path) -> None:
    authority, received = Authority(tmp_path), list[bytes]()
    network = http_client.Network(tls=authority.trusted())
    with talking(secured(authority.signed(IPV6), received)) as visits:
        leads_to = {f"[{IPV6}]": visits.port}
        with proxying(leads_to) as proxy, settings(TUNERY_EGRESS_PROXY=proxy.url):
            assert post(f"https://[{IPV6}]/", network).status == 204
    assert proxy.asked == [f"CONNECT [{IPV6}]:443 HTTP/1.1"]
    assert f"host: [{IPV6}]\r\n".encode() in received[0]


def test_a_provider_with_an_ipv6_address_is_asked_for_in_brackets() -> None:
    async def ask(url: str) -> httpx2.Response:
        transport = strangers_async_transport(url, httpx2.Limits(), None)
        async with httpx2.AsyncClient(transport=transport, timeout=60) as client:
            return await client.post(f"{url}/chat/completions", json={})

    url = f"https://[{IPV6}]/v1"
    with behind_proxy(1) as proxy:
        with pytest.raises(httpx2.ProxyError):
            LimitedClient(guarded_url=url).get(f"{url}/models", timeout=60)
        with pytest.raises(httpx2.ProxyError):
            asyncio.run(ask(url))
    assert proxy.asked == [f"CONNECT [{IPV6}]:443 HTTP/1.1"] * 2


def test_what_the_proxy_refuses_is_told() -> None:
    with behind_proxy(1):
        assert refusal("https://unknown.invalid/") == "the egress proxy did not connect: HTTP 403"


def test_a_proxy_that_is_not_there_is_told(receiver: Receiver) -> None:
    with proxying({}) as gone:
        pass
    with settings(TUNERY_EGRESS_PROXY=gone.url):
        assert refusal(receiver.url).startswith("no connection: ")
    assert receiver.received == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://10.0.0.1/", "The address must not lead to a private or reserved network"),
        ("https://169.254.169.254/", "The address must not lead to a private or reserved network"),
        ("https://localhost/", "The address must be a public name"),
        ("https://public.example/", "not connected: it leads to a private or reserved network"),
        ("https://public.example:25/", "The port must be"),
    ],
)
def test_the_guard_judges_what_it_can_before_the_proxy_is_asked(url: str, sentence: str) -> None:
    network = http_client.Network(Resolver(resolving_to(["10.0.0.1"])))
    with behind_proxy(1, TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]") as proxy:
        assert refusal(url, network).startswith(sentence)
        with pytest.raises(httpx2.ConnectError, match="private or reserved network"):
            LimitedClient(guarded_url="https://10.0.0.1/v1").get("https://10.0.0.1/v1/models")
    assert proxy.asked == []


def test_a_file_is_fetched_through_it(receiver: Receiver) -> None:
    port = httpx2.URL(receiver.url).port or 0
    with behind_proxy(port) as proxy:
        assert b"".join(http_client.get(f"http://{NAME}:{port}/file", 100, LONG)) == b"ok"
    assert proxy.asked == [f"GET http://{NAME}:{port}/file HTTP/1.1"]


def test_a_projects_provider_is_called_through_it_and_the_deployments_is_not() -> None:
    with talking(answering(OK, EMPTY_LIST)) as visits, behind_proxy(visits.port) as proxy:
        own = LimitedClient(guarded_url=f"http://{NAME}:{visits.port}/v1")
        assert own.get(f"http://{NAME}:{visits.port}/v1/models", timeout=60).json()["data"] == []
        assert proxy.asked == [f"GET http://{NAME}:{visits.port}/v1/models HTTP/1.1"]
        account = Account(None, None, f"http://127.0.0.1:{visits.port}/v1", Dialect.OPENAI, 0, None)
        assert OpenAIProvider(account, LONG, STATUSES).list_base_models() == []
        assert len(proxy.asked) == 1


def test_a_chat_with_a_projects_provider_goes_through_it() -> None:
    async def ask(url: str) -> httpx2.Response:
        transport = strangers_async_transport(url, httpx2.Limits(), None)
        async with httpx2.AsyncClient(transport=transport, timeout=60) as client:
            return await client.post(f"{url}/chat/completions", json={})

    with talking(answering(OK, EMPTY_LIST)) as visits, behind_proxy(visits.port) as proxy:
        assert asyncio.run(ask(f"http://{NAME}:{visits.port}/v1")).status_code == 200
        assert proxy.asked == [f"POST http://{NAME}:{visits.port}/v1/chat/completions HTTP/1.1"]
    with behind_proxy(1, TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]") as proxy, pytest.raises(httpx2.ConnectError):
        asyncio.run(ask("https://10.0.0.1/v1"))
    assert proxy.asked == []
