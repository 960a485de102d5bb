"""The weights that a job has trained, at providers that give them: by signed addresses, without the account's key."""

import hashlib
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from sandbox.wires.fireworks.models import weights_of
from sandbox.wires.together.weights import adapter_of
from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from shared.security.secrets import seal
from tests.hostile_servers import OK, answering
from tests.providers.stand_ins import TIMEOUT, Far, far_of
from tests.servers import talking
from tests.worker.support import settings
from tests.world import Sandbox
from worker.jobs import fetch
from worker.net.call_limits import MAX_FILE_BYTES, files_up_to
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider
from worker.providers.registry import PROVIDERS

pytestmark = pytest.mark.usefixtures("server")  # for the settings
ENDPOINT = "/v1/accounts/*/models/*:getDownloadEndpoint"


@pytest.fixture
def far(request: pytest.FixtureRequest, speaking: Callable[[str], Sandbox]) -> Iterator[Far]:
    with far_of(request.param, speaking) as far:
        yield far


of_together = pytest.mark.parametrize("far", [Dialect.TOGETHER], indirect=True, ids=str)
of_fireworks = pytest.mark.parametrize("far", [Dialect.FIREWORKS], indirect=True, ids=str)


@cache
def own_account(dialect: Dialect, base_url: str, timeout: timedelta = TIMEOUT) -> Provider:
    """Kept, as the worker keeps its clients."""
    account = Account("cred_own", "proj_own", base_url, dialect, 1, seal("sk-sandbox", "proj_own/cred_own/api_key"))
    return PROVIDERS[dialect].client(account, timeout, PROVIDERS[dialect].statuses)


def trained(far: Far, **values: Any) -> str:
    job = far.running_job(**values)
    far.sandbox.move(job.id, status="succeeded")
    return job.id


def switch(far: Far, **switches: Any) -> None:
    far.sandbox.http.post(f"/sandbox/{far.stand_in.wire}", json=switches).raise_for_status()


def failure_of(provider: Provider, file_id: str) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        list(provider.read_file(file_id))
    assert "ignature=" not in "".join(traceback.format_exception(failure.value))
    return failure.value


@of_together
@pytest.mark.parametrize("signs_weights", [True, False])
def test_an_adapter_comes_at_once_or_by_a_signed_address(far: Far, signs_weights: bool) -> None:
    id = trained(far)
    switch(far, signs_weights=signs_weights)
    _, adapter = far.provider.get_job(id).result_files
    assert far.provider.file_name(adapter) == "adapter.tar.zst"
    assert b"".join(far.provider.read_file(adapter)) == adapter_of(id)


@of_together
def test_results_are_copied_up_to_a_bound_and_within_a_time(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    id = trained(far)
    files, size = far.provider.get_job(id).result_files, len(adapter_of(id))
    curve, adapter = fetch._results(far.provider, files)
    assert (adapter.filename, adapter.stored.bytes) == ("adapter.tar.zst", size)
    assert adapter.stored.sha256 == hashlib.sha256(adapter_of(id)).hexdigest()
    for bound, copied in ((curve.stored.bytes + size, 2), (curve.stored.bytes + size - 1, 1), (1, 1)):
        with settings(TUNERY_MAX_RESULT_BYTES=str(bound)):
            assert len(fetch._results(far.provider, files)) == copied
    monkeypatch.setattr(fetch, "MAX_COPY_SECONDS", 0.0)
    assert fetch._results(far.provider, files) == []


def test_only_a_copy_reads_files_as_large_as_the_bound() -> None:
    large = MAX_FILE_BYTES + 1
    with talking(answering(OK, b"a" * large)) as visits:
        provider = own_account(Dialect.OPENAI, f"http://127.0.0.1:{visits.port}/v1")
        with files_up_to(large):
            assert sum(map(len, provider.read_file("file-1"))) == large
        assert failure_of(provider, "file-1").code == "provider_answer_too_large"


@of_together
def test_the_weights_of_a_whole_model_are_left_where_they_are(far: Far) -> None:
    assert len(far.provider.get_job(trained(far, provider_options={"full": True})).result_files) == 1


@of_together
def test_an_own_account_is_not_led_to_a_private_address_for_its_adapter(far: Far) -> None:
    id = trained(far)
    own = own_account(Dialect.TOGETHER, f"{far.sandbox.address}/v1")
    _, adapter = own.get_job(id).result_files
    switch(far, signs_weights=True)
    assert b"".join(own.read_file(adapter)) == adapter_of(id)
    switch(far, signs_weights=True, storage="http://10.0.0.1")
    assert failure_of(own, adapter).code == "provider_unavailable"


@of_together
def test_an_adapter_that_is_refused_is_not_asked_for_again(far: Far) -> None:
    _, adapter = far.provider.get_job(trained(far)).result_files
    far.sandbox.arm("GET", "/v1/finetune/download", status=400, body={"error": {"message": "No longer kept."}})
    error = failure_of(far.provider, adapter)
    assert (error.message, error.retryable) == ("No longer kept.", False)


@of_fireworks
@pytest.mark.parametrize("redirects", [0, 2])
def test_each_file_of_a_model_is_read(far: Far, redirects: int) -> None:
    job = far.provider.get_job(trained(far))
    switch(far, redirects=redirects)
    _, *files = job.result_files
    expected = weights_of(str(job.fine_tuned_model).rpartition("/")[2])
    assert {far.provider.file_name(id): b"".join(far.provider.read_file(id)) for id in files} == expected


@of_fireworks
@pytest.mark.parametrize("status", [403, 404])
def test_a_model_whose_files_are_not_given_has_its_curve(far: Far, status: int) -> None:
    id = trained(far)
    far.sandbox.arm("GET", ENDPOINT, status=status, body={"code": 7, "message": "no access", "details": []})
    assert len(far.provider.get_job(id).result_files) == 1


@of_fireworks
def test_files_that_cannot_be_listed_now_are_asked_for_again(far: Far) -> None:
    id = trained(far)
    far.sandbox.arm("GET", ENDPOINT, status=500)
    with pytest.raises(ProviderError) as failure:
        far.provider.get_job(id)
    assert failure.value.retryable


@of_fireworks
def test_files_with_odd_names_and_too_many_are_left_out(far: Far) -> None:
    id = trained(far)
    for shown in ({}, 5, None, {"x" * 600: "http://10.0.0.1/", "\0": "http://10.0.0.1/"}):
        far.sandbox.arm("GET", ENDPOINT, status=200, body={"filenameToSignedUrls": shown})
        assert len(far.provider.get_job(id).result_files) == 1
    many = {f"{number:03}.bin": "http://10.0.0.1/" for number in range(100)}
    far.sandbox.arm("GET", ENDPOINT, status=200, body={"filenameToSignedUrls": many})
    assert len(far.provider.get_job(id).result_files) == 16


@of_fireworks
def test_an_own_account_is_not_led_to_a_private_address_for_weights(far: Far) -> None:
    own = own_account(Dialect.FIREWORKS, f"{far.sandbox.address}{far.stand_in.base}")
    _, config, _ = own.get_job(trained(far)).result_files
    addresses = {"adapter_config.json": "http://10.0.0.1/?X-Goog-Signature=secret", "other": None}
    far.sandbox.arm("GET", ENDPOINT, status=200, body={"filenameToSignedUrls": addresses})
    assert failure_of(own, config).code == "provider_unavailable"
    far.sandbox.arm("GET", ENDPOINT, status=200, body={"filenameToSignedUrls": {"other": "http://10.0.0.1/"}})
    assert failure_of(own, config).code == "provider_unavailable"
