"""Which client serves an account, and that every dialect is known wherever one is looked up."""

from shared.providers.dialects import ADDRESSING, Dialect
from tests.providers.stand_ins import DEPLOYMENT_CALLS, STAND_INS
from worker.providers.registry import PROVIDERS


def test_every_dialect_has_a_client_an_addressing_and_a_stand_in() -> None:
    assert set(Dialect) == set(PROVIDERS) == set(ADDRESSING) == {stand_in.dialect for stand_in in STAND_INS}


def test_a_stand_in_names_a_call_or_a_reason_for_every_method_of_a_provider() -> None:
    methods = {name for name in vars(PROVIDERS[Dialect.OPENAI].client) if not name.startswith("_")}
    for stand_in in STAND_INS:
        wanted = methods | DEPLOYMENT_CALLS if stand_in.deploys else methods
        assert {*stand_in.calls, *stand_in.lacks} == wanted


def test_azures_words_for_a_status_have_a_meaning() -> None:
    words = ("pending", "notRunning", "canceled", "cancelled", "pausing", "resuming")
    assert [PROVIDERS[Dialect.AZURE].statuses[word].value for word in words] == [
        "queued",
        "queued",
        "cancelled",
        "cancelled",
        "running",
        "running",
    ]
