"""What a check of `tunery doctor` has found, and how a check is kept from hanging or raising."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Result:
    """One line: what was checked, what was found, and what to do unless it is ok."""

    check: str
    status: Status
    found: str
    advice: str = ""


Check = Callable[[], Iterator[Result]]


def ok(check: str, found: str) -> Result:
    return Result(check, Status.OK, found)


def warn(check: str, found: str, advice: str) -> Result:
    return Result(check, Status.WARN, found, advice)


def fail(check: str, found: str, advice: str) -> Result:
    return Result(check, Status.FAIL, found, advice)


def run(checks: Mapping[str, Check], seconds: float) -> list[Result]:
    """The results of all checks, which run side by side.

    One that raises, or that has not ended after `seconds`, has failed, whatever the reason.
    """
    found: dict[str, list[Result]] = {name: [] for name in checks}
    threads = [
        threading.Thread(target=_run_one, args=(name, check, found[name]), daemon=True, name=name)
        for name, check in checks.items()
    ]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            late = fail(thread.name, f"no answer within {seconds:.0f} s", "Check its address and the network.")
            found[thread.name] = [*found[thread.name], late]
    return [result for results in found.values() for result in results]


def _run_one(name: str, check: Check, results: list[Result]) -> None:
    try:
        results.extend(check())
    except BaseException as error:  # a library may raise anything when what it talks to is broken
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        results.append(fail(name, reason, "This is unexpected: report it with the output of `./tunery doctor`."))
