"""The `tunery` command in this process, as a shell would call it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cli.__main__ import main


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int | str | None
    out: str
    err: str


Tunery = Callable[..., Said]


def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tunery:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["tunery", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(ended.value.code, said.out, said.err)

    return run
