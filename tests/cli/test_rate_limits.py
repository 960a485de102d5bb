"""`tunery rate-limit`: what a project and its keys may do, shown and changed."""

import pytest

from tests.cli.terminal import Tunery
from tests.world import Person

pytestmark = pytest.mark.usefixtures("as_admin")


def test_limits_are_shown_and_changed(alice: Person, tunery: Tunery) -> None:
    said = tunery("rate-limit", "set", alice.project_id, "--requests-per-minute", "600", "--open-jobs", "0")
    assert said.out.splitlines()[1].split() == [alice.project_id, "600", "none", "none", "0"]
    _, project, key = (line.split() for line in tunery("rate-limit", "list", alice.project_id).out.splitlines())
    assert project == [alice.project_id, "600", "none", "none", "0"]
    assert key[1:] == ["none"] * 4
    said = tunery("rate-limit", "set", alice.project_id, "--key", key[0], "--bytes-per-minute", "1000")
    assert said.out.splitlines()[1].split() == [key[0], "none", "1000", "none", "none"]
    said = tunery("rate-limit", "set", alice.project_id, "--open-jobs", "default")
    assert said.out.splitlines()[1].split()[4] == "none"


def test_what_is_no_limit_is_said_in_a_sentence(alice: Person, tunery: Tunery) -> None:
    said = tunery("rate-limit", "set", alice.project_id, "--jobs-per-day", "many")
    assert (said.code, said.out) == (1, "")
    assert "A limit is a number of at most 15 digits, or `default`: not many" in said.err
    said = tunery("rate-limit", "set", alice.project_id, "--key", "key_never", "--requests-per-minute", "1")
    assert (said.code, said.err) == (1, "No such rate limit: rl-key_never.\n")
