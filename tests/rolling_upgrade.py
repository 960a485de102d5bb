"""An upgrade while work goes on, and a rollback: what jobs, the provider and the receiver of webhooks say of it."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from tests.releases import Installation
from tests.servers import Receiver, until
from tests.world import Person, lines

CREATED = "fine_tuning.job.created"
SUCCEEDED = "fine_tuning.job.succeeded"
CANCELLED = "fine_tuning.job.cancelled"
PATIENCE = 300.0


@dataclass
class Upgrade:
    """`jobs` are to succeed; for every fifth of them one more is created, and cancelled."""

    installation: Installation
    receiver: Receiver
    jobs: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    _people: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Upgrade":
        self.at_former, self.at_present = (
            self.installation.person(release) for release in (self.installation.former, self.installation.present)
        )
        for person in (self.at_former, self.at_present):
            self._people.callback(person.close)
        types: Any = [CREATED, SUCCEEDED, CANCELLED]  # the first one is not OpenAI's
        self.at_former.openai.webhooks.create(name="upgrade", url=self.receiver.url, event_types=types)
        return self

    def __exit__(self, *_: object) -> None:
        self._people.close()

    def go_on(self, jobs: int) -> None:
        """The former release alone, `migrate`, both beside each other, and the former one alone again."""
        former, present = self.installation.former, self.installation.present
        share = jobs // 5
        self._create(share, self.at_former)
        self._wait_until_provider_has_all()
        with ThreadPoolExecutor(1) as pool:
            meanwhile = pool.submit(self._create, share, self.at_former)
            started = time.monotonic()
            present.migrate()
            self.migrated_in = time.monotonic() - started
            meanwhile.result()
        present.start()
        self._create(share, self.at_former, self.at_present)
        self._wait_until_provider_has_all()
        self._let_all_succeed()
        self._wait_until_all_have_ended(self.at_former)
        self._wait_until_all_have_ended(self.at_present)
        self._create(share, self.at_present, self.at_former)
        # A delivery that a stop breaks off, as on a busy machine, would rightly be sent again.
        until(lambda: {type for type, _ in self._owed()} <= {SUCCEEDED}, "the webhooks before the end", PATIENCE)
        present.stop()  # the jobs that it has begun are left to the former release
        self._create(jobs - 4 * share, self.at_former)
        self._wait_until_provider_has_all()
        self._let_all_succeed()
        self._wait_until_all_have_ended(self.at_former)
        until(lambda: not self._owed(), "the webhooks", PATIENCE)
        self.ended = self.statuses(self.at_former)
        self._wrong = self._wrong_events()
        former.stop()

    def _create(self, count: int, *people: Person) -> None:
        """Jobs through these apis in turn; each is read, and each fifth one's companion is cancelled, by the next."""
        turns = cycle(people)
        person = next(turns)
        for _ in range(count):
            other = next(turns)
            file = person.upload(lines(12 + len(self.jobs)))
            self.jobs.append(person.create_job(training_file=file, suffix=f"job{len(self.jobs)}"))
            assert other.openai.fine_tuning.jobs.retrieve(self.jobs[-1]).training_file == file
            assert other.openai.files.retrieve(file).id == file
            if len(self.jobs) % 5 == 1:
                self.cancelled.append(person.create_job(training_file=file))
                other.openai.fine_tuning.jobs.cancel(self.cancelled[-1])
            person = other

    def _theirs(self) -> dict[str, Any]:
        """The provider's job by our id of it. A job that is cancelled early may never get there."""
        return {job.metadata["tunery_job"]: job for job in self._at_provider()}

    def _at_provider(self) -> list[Any]:
        return list(self.installation.provider.openai.fine_tuning.jobs.list(limit=100))

    def _wait_until_provider_has_all(self) -> None:
        until(lambda: set(self.jobs) <= set(self._theirs()), "the creates", PATIENCE)

    def _let_all_succeed(self) -> None:
        for id, job in self._theirs().items():
            if id in self.jobs and job.status != "succeeded":
                self.installation.provider.move(job.id, status="succeeded")

    def _wait_until_all_have_ended(self, person: Person) -> None:
        until(
            lambda: self.statuses(person) == {"succeeded": len(self.jobs), "cancelled": len(self.cancelled)},
            "the end of all jobs",
            PATIENCE,
        )

    def statuses(self, person: Person) -> dict[str, int]:
        statuses: list[str] = [job.status for job in person.openai.fine_tuning.jobs.list(limit=100)]
        return {"succeeded": 0, "cancelled": 0, **Counter(statuses)}

    def _wrong_events(self) -> int:
        """Jobs whose training steps differ from the provider's."""
        theirs, wrong = self._theirs(), 0
        for id in self.jobs:
            ours = self.at_former.openai.fine_tuning.jobs.list_events(id, limit=100)
            there = self.installation.provider.openai.fine_tuning.jobs.list_events(theirs[id].id, limit=100)
            wrong += _steps(ours) != _steps(there)
        return wrong

    @property
    def told(self) -> Counter[tuple[str, str]]:
        return Counter((event["type"], event["data"]["id"]) for event in self.receiver.events)

    def _owed(self) -> set[tuple[str, str]]:
        created = {(CREATED, id) for id in self.jobs + self.cancelled}
        return (created | {(SUCCEEDED, id) for id in self.jobs} | {(CANCELLED, id) for id in self.cancelled}) - {
            *self.told
        }

    def findings(self) -> dict[str, int]:
        """What must be 0, by its name."""
        times = Counter(job.metadata["tunery_job"] for job in self._at_provider())
        files = Counter(file.filename for file in self.installation.provider.files())
        ids = Counter(headers["webhook-id"] for headers, _ in self.receiver.received)
        return {
            "jobs doubled at the provider": _doubled(times),
            "jobs at the provider that no client created": len(set(times) - {*self.jobs, *self.cancelled}),
            "files doubled at the provider": _doubled(files),
            "jobs with a training step missing or twice": self._wrong,
            "webhooks that were not sent": len(self._owed()),
            "webhooks sent twice": _doubled(ids),
            "events told twice": _doubled(self.told),
            "errors in the logs of both releases": len(self.errors()),
        }

    def errors(self) -> list[str]:
        """Lines of the logs, also of requests that failed."""
        releases = (self.installation.former, self.installation.present)
        return [f"{release.name} {line}" for release in releases for line in release.log("error", "critical")]


def _doubled(counts: Counter[Any]) -> int:
    return sum(number > 1 for number in counts.values())


def _steps(events: Any) -> Counter[str]:
    return Counter(event.message for event in events if event.type == "metrics")
