"""What of usage is kept in memory until it is written, whatever goes wrong then."""

import threading
from typing import Any

import pytest
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from api.chat.counting import UsageCounter, counter
from shared.inference.recording import Place, Used, record
from tests.api.test_chat import BASE
from tests.api.test_inference_usage import written
from tests.servers import PATIENCE
from tests.world import Person


def test_what_cannot_be_written_is_written_later(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ProgrammingError("insert", {}, Exception("Postgres is away"))

    place = Place(BASE, "openai")
    counter.count(alice.project_id, place, Used(1, 2, 0, 3))
    with monkeypatch.context() as patch:
        patch.setattr("api.chat.counting.record", fail)
        counter.flush()
    counter.count(alice.project_id, place, Used(1, 2, 1, 3))
    assert written(alice, 2) == {BASE: (2, 4, 1, 6)}


def test_what_fails_for_one_project_is_not_lost_for_another(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record_others(session: Session, project_id: str, *more: Any) -> None:
        if project_id == alice.project_id:
            raise ValueError("it has a fault")
        record(session, project_id, *more)

    monkeypatch.setattr("api.chat.counting.record", record_others)
    busy = UsageCounter()
    for person in (alice, bob):
        busy.count(person.project_id, Place(BASE, "openai"), Used(1, 2, 0, 3))
    busy.flush()
    assert written(bob) == {BASE: (1, 2, 0, 3)}
    assert busy._sums == {}


def test_many_names_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    was_written, busy = threading.Event(), UsageCounter()
    monkeypatch.setattr("api.chat.counting.WRITE_AT", 3)
    monkeypatch.setattr(busy, "flush", was_written.set)
    for name in ("a", "b", "b"):
        busy.count("proj_1", Place(name, "own"), Used(1))
    assert not was_written.is_set()
    busy.count("proj_1", Place("c", "own"), Used(1))
    assert was_written.wait(PATIENCE)
