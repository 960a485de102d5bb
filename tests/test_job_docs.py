"""docs/jobs.md against the code: the same moves, by the same names."""

import re
from pathlib import Path

from shared.jobs.models import JobStatus
from shared.jobs.transitions import ASKABLE, MOVES

DOCS = (Path(__file__).parent.parent / "docs" / "jobs.md").read_text()


def test_the_diagram_has_every_move_and_no_other() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (.+)$", DOCS, re.MULTILINE)
    assert {(JobStatus(of), JobStatus(to)): name for of, to, name in drawn} == MOVES
    assert len(drawn) == len(MOVES)


def test_every_state_but_the_final_ones_is_left_and_those_never() -> None:
    assert {of for of, _ in MOVES} == {status for status in JobStatus if not status.is_final}
    assert {to for _, to in MOVES} == set(JobStatus) - {JobStatus.VALIDATING_FILES}


def test_what_may_be_asked_for_leads_somewhere() -> None:
    to = {"cancel": {JobStatus.CANCELLED}, "pause": {JobStatus.PAUSED}, "resume": {JobStatus.QUEUED, JobStatus.RUNNING}}
    for request, states in ASKABLE.items():
        assert all((state, end) in MOVES for state in states for end in to[request])
