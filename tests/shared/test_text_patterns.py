"""Texts that must match a pattern, and the sentences of those that do not."""

from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from shared.budgets.schemas import AdjustmentCreate, NotificationChannel
from shared.datasets.schemas import UploadComplete
from shared.json_fields import Pattern


class Named(BaseModel):
    digits: Annotated[str, Pattern("[0-9]+", "Send digits, such as 12")] | None = None


@pytest.mark.parametrize("digits", ["", "a", "1a", "1\n", "\n1"])
def test_the_whole_text_must_match_and_the_error_is_the_sentence(digits: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Named(digits=digits)
    assert [each["msg"] for each in refused.value.errors()] == ["Value error, Send digits, such as 12"]


def test_a_match_and_none_are_kept_and_the_schema_has_the_expression() -> None:
    assert (Named(digits="12").digits, Named().digits) == ("12", None)
    assert Named.model_json_schema()["properties"]["digits"]["anyOf"][0] == {"type": "string", "pattern": "^[0-9]+$"}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (AdjustmentCreate, {"amount": "1,50", "currency": "USD", "reason": "a bill"}),
        (AdjustmentCreate, {"amount": "1.5\n", "currency": "USD", "reason": "a bill"}),
        (NotificationChannel, {"type": "email", "recipients": ["a@example.com"], "subject_prefix": "two\nlines"}),
        (UploadComplete, {"part_ids": ["part_1"], "md5": "no digest"}),
    ],
)
def test_no_sentence_shows_an_expression(model: type[BaseModel], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(values)
    [problem] = refused.value.errors()
    assert problem["type"] == "value_error"
    assert not set("^$\\[]") & set(problem["msg"])
