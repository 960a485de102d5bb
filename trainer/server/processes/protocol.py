"""What the runner knows of the processes of jobs, wherever they run."""

from dataclasses import dataclass
from typing import Protocol

from trainer.server.run import Run

PAUSED, KILLED = 75, -9
"""Exit codes: the process saved a checkpoint and left; the system ended it."""


@dataclass(frozen=True)
class Ended:
    """How a process ended. `code`: its exit code, negative for a signal.

    `lost`: why nobody can say how it ended, as when a cluster has lost it. That is no failure of the job.
    """

    code: int
    lost: str = ""


class JobProcess(Protocol):
    """The process of one job. It writes `lines.jsonl` in the job's folder, and leaves soon after it is asked to."""

    name: str
    """For the log."""

    def ask_to_pause(self) -> None: ...

    def ask_to_cancel(self) -> None: ...

    def ended(self) -> Ended | None:
        """None while it runs or waits. One that does not leave in time is killed."""

    def news(self) -> list[str]:
        """What the job's log should say of the machines; each sentence once."""

    def let_go(self) -> None:
        """The server ends, and looks no more at a process that outlives it."""


class Machines(Protocol):
    """What runs processes."""

    slots: list[str]
    """The device of each slot, such as `cuda:0`. As many processes run or wait here at the same time."""
    threads: int
    """CPU threads of a job."""
    outlive_server: bool
    """Whether processes go on when the server ends, and are found again by the next one."""

    def start(self, run: Run) -> JobProcess:
        """Starts the process of a job whose folder is ready. Raises OSError."""

    def find(self, run: Run) -> JobProcess | None:
        """The process that an earlier server has started and that may go on; `None` if there can be none."""

    async def close(self) -> None: ...
