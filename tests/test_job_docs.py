"""docs/jobs.md draws the states, and docs/how-jobs-work.md the actions, as the code has them and by the same names."""

import re
from pathlib import Path

from shared.jobs.models import JobStatus, NextAction
from shared.jobs.transitions import MOVES, NEXT_ACTIONS, PERMITTED_WHEN

PAGES = [Path(__file__).parent.parent / "docs" / name for name in ("jobs.md", "how-jobs-work.md")]
DIAGRAMS = [diagram for page in PAGES for diagram in re.findall(r"```mermaid\n(.+?)```", page.read_text(), re.DOTALL)]
ACTIONS = {"ended": None, **{action.value: action for action in NextAction}}


def arrows(diagram: str) -> list[tuple[str, str, str]]:
    return re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram, re.MULTILINE)


def test_the_pages_have_a_diagram_of_the_states_and_one_of_the_steps() -> None:
    assert len(DIAGRAMS) == 2


def test_the_diagram_of_the_steps_has_every_change_of_the_next_action_and_no_other() -> None:
    drawn = arrows(DIAGRAMS[1])
    assert {(ACTIONS[of], ACTIONS[to]): name for of, to, name in drawn} == NEXT_ACTIONS
    assert len(drawn) == len(NEXT_ACTIONS)


def test_the_diagram_has_every_move_and_no_other() -> None:
    drawn = arrows(DIAGRAMS[0])
    assert {(JobStatus(of), JobStatus(to)): name for of, to, name in drawn} == MOVES
    assert len(drawn) == len(MOVES)


def test_every_state_but_the_final_ones_is_left_and_those_never() -> None:
    assert {of for of, _ in MOVES} == {status for status in JobStatus if not status.is_final}
    assert {to for _, to in MOVES} == set(JobStatus) - {JobStatus.VALIDATING_FILES}


def test_what_may_be_asked_for_leads_somewhere() -> None:
    to = {"cancel": {JobStatus.CANCELLED}, "pause": {JobStatus.PAUSED}, "resume": {JobStatus.QUEUED, JobStatus.RUNNING}}
    for request, states in PERMITTED_WHEN.items():
        assert all((state, end) in MOVES for state in states for end in to[request])
