"""Bodies that are no JSON object: the sentence says what they are, and what to send."""

import pytest

from tests.api.wire import send
from tests.world import Person

BODIES = [
    (b"", {}, "missing_required_parameter", "is empty: send a JSON object"),
    (b"[1]", {}, "invalid_value", "must be a JSON object, and this is a list"),
    (b'"text"', {}, "invalid_value", "and this is a string"),
    (b"1.5", {}, "invalid_value", "and this is a number"),
    ('{"model": "é"}'.encode("latin-1"), {}, "invalid_json", "not JSON in UTF-8"),
    (b"\x1f\x8b\x08", {"content-encoding": "gzip"}, "invalid_json", "is compressed"),
]


@pytest.mark.parametrize(("body", "headers", "code", "words"), BODIES)
def test_the_sentence_says_what_the_body_is(
    alice: Person, body: bytes, headers: dict[str, str], code: str, words: str
) -> None:
    answer = send(alice, "POST", "/fine_tuning/jobs", body, headers={"content-type": "application/json", **headers})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, None)
    assert words in answer.error["message"]
    assert "dictionary" not in answer.error["message"]
