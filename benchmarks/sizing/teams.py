"""What a team does, and what Tunery needs for many of them by the figures that were measured."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from shared.db import connections
from shared.settings import Settings

TEAMS = (10, 100, 1_000)
BUSY = 0.5  # of a core or a slot, in the busiest hour: the rest is for what nobody has foreseen
CONNECTIONS_OF_PEOPLE = 10  # commands such as `backup` and `doctor`, a monitor, psql
RESERVED = 3  # by Postgres, for superusers
STEPS_OF_WORKER, DELIVERIES_OF_SENDER = 4, 64  # the defaults of WORKER_CONCURRENCY and SENDER_CONCURRENCY
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Team:
    """Jobs are those of a day; each is open for `hours`. A fifth of a day's jobs begins in the busiest hour."""

    jobs: float = 10
    busiest_hour: float = 0.2
    hours: float = 2
    file_mb: float = 10
    events_of_job: float = 100
    deliveries_of_job: float = 3
    retrieves_a_minute: float = 6  # of each open job
    events_pages_a_minute: float = 1  # of each open job
    lists_a_minute: float = 10  # of jobs and of files, by dashboards and scripts of the team
    seconds_in_steps: float = 30  # that one job's steps wait for the provider: its file, the create, the end
    seconds_of_receiver: float = 1  # until a webhook is answered


@dataclass(frozen=True)
class Need:
    """What this many teams need in their busiest hour. Cores are those that are busy."""

    teams: int
    figures: Figures
    team: Team = Team()

    @property
    def jobs_a_second(self) -> float:
        return self.teams * self.team.jobs * self.team.busiest_hour / 3600

    @property
    def open_jobs(self) -> float:
        return self.jobs_a_second * 3600 * self.team.hours

    @property
    def requests_a_second(self) -> dict[str, float]:
        lists = self.teams * self.team.lists_a_minute / 60
        return {
            "job_retrieve": self.open_jobs * self.team.retrieves_a_minute / 60,
            "events_of_100": self.open_jobs * self.team.events_pages_a_minute / 60,
            "job_list_of_20": lists / 2,
            "file_list_of_20": lists / 2,
        }

    @property
    def deliveries_a_second(self) -> float:
        return self.jobs_a_second * self.team.deliveries_of_job

    def _cores_of(self, server: str) -> float:
        return (
            self.figures.get(f"{server}_cores_idle", 0)
            + sum(self.figures.get(f"{server}_seconds_per_{what}", 0) * n for what, n in self.requests_a_second.items())
            + self.jobs_a_second * self.figures.get(f"{server}_seconds_per_job", 0)
            + self.jobs_a_second * self.team.file_mb * self.figures.get(f"{server}_seconds_per_mb_checked", 0)
            + self.open_jobs * self.figures.get(f"{server}_cores_per_open_job", 0)
            + self.deliveries_a_second * self.figures.get(f"{server}_seconds_per_delivery", 0)
        )

    @property
    def least(self) -> int:
        """Of each kind: from 100 teams on, one of them may fail or be replaced."""
        return 1 if self.teams < 100 else 2

    @property
    def apis(self) -> int:
        return max(self.least, ceil(self._cores_of("api") / BUSY))

    @property
    def workers(self) -> int:
        slots = self.jobs_a_second * self.team.seconds_in_steps + self._cores_of("worker")
        return max(self.least, ceil(slots / BUSY / STEPS_OF_WORKER))

    @property
    def senders(self) -> int:
        slots = self.deliveries_a_second * self.team.seconds_of_receiver / DELIVERIES_OF_SENDER
        return max(self.least, ceil(max(self._cores_of("sender"), slots) / BUSY))

    @property
    def servers(self) -> dict[str, int]:
        return {"api": self.apis, "worker": self.workers, "sender": self.senders, "beat": self.least}

    @property
    def connections(self) -> int:
        return sum(count * _connections_of(name) for name, count in self.servers.items())

    @property
    def max_connections(self) -> int:
        """An upgrade doubles the apis, and replaces the others one by one while `migrate` runs."""
        more = self.apis * _connections_of("api") + sum(map(_connections_of, ("worker", "sender", "beat")))
        wanted = self.connections + more + connections.OF_STEP + CONNECTIONS_OF_PEOPLE + RESERVED
        return ceil(wanted / 50) * 50

    @property
    def memory(self) -> float:
        return sum(count * self.figures[f"{name}_bytes"] for name, count in self.servers.items())

    @property
    def memory_of_postgres(self) -> float:
        """Beside its buffers."""
        return self.connections * self.figures["postgres_bytes_per_process"]

    @property
    def memory_of_redis(self) -> float:
        """While no worker takes a message of the busiest hour."""
        messages = self.jobs_a_second * 3600 * self.figures["redis_messages_per_job"]
        return self.figures["redis_bytes_idle"] + messages * self.figures["redis_bytes_per_message"]

    @property
    def disk_a_month(self) -> float:
        events = self.team.events_of_job * self.figures["postgres_disk_bytes_per_event"]
        return self._jobs_a_month * (self.figures["postgres_disk_bytes_per_job"] + events)

    @property
    def files_a_month(self) -> float:
        return self._jobs_a_month * self.team.file_mb * 1e6

    @property
    def _jobs_a_month(self) -> float:
        return self.teams * self.team.jobs * 30

    def rows(self) -> Iterator[tuple[str, str]]:
        yield "jobs a month", f"{self._jobs_a_month:,.0f}"
        yield "open jobs in the busiest hour", f"{self.open_jobs:,.0f}"
        yield "requests a second", f"{sum(self.requests_a_second.values()):.0f}"
        yield "deliveries a second", f"{self.deliveries_a_second:.2g}"
        for name in ("api", "worker", "sender", "postgres"):
            yield f"busy cores: {name}", f"{self._cores_of(name):.2f}"
        yield "api: processes in all", f"{self.apis}"
        yield f"workers of {STEPS_OF_WORKER} steps", f"{self.workers}"
        yield f"senders of {DELIVERIES_OF_SENDER} deliveries", f"{self.senders}"
        yield "beats", f"{self.least}"
        yield "connections at most", f"{self.connections}"
        yield "**`max_connections`**", f"**{self.max_connections}**"
        yield "RAM of the servers", _megabytes(self.memory)
        yield "RAM of Postgres's processes", _megabytes(self.memory_of_postgres)
        yield "RAM of Redis", _megabytes(self.memory_of_redis)
        yield "Postgres's disk, a month", _megabytes(self.disk_a_month)
        yield "training files, a month", _megabytes(self.files_a_month)


def _connections_of(server: str) -> int:
    counts: dict[str, Callable[[], int]] = {
        "api": lambda: connections.of_api(1, int(Settings.model_fields["api_connections"].default)),
        "worker": lambda: connections.of_worker(STEPS_OF_WORKER),
        "sender": lambda: connections.of_sender(DELIVERIES_OF_SENDER),
        "beat": lambda: connections.BEAT,
    }
    return counts[server]()


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB" if count < 1e10 else f"{count / 1e9:,.0f} GB"


def needs_table(figures: Figures) -> str:
    """In Markdown, as it stands in docs/sizing.md."""
    columns = [list(Need(teams, figures).rows()) for teams in TEAMS]
    heads = f"| teams | {' | '.join(f'{teams:,}' for teams in TEAMS)} |\n|---|{'---:|' * len(TEAMS)}"
    rows = [f"| {row[0][0]} | {' | '.join(value for _, value in row)} |" for row in zip(*columns, strict=True)]
    return "\n".join([heads, *rows])


def figures_table(figures: Figures) -> str:
    """In Markdown, as it stands in docs/sizing.md: seconds of CPU in ms, and what a whole core does in a second."""
    return "\n".join(
        ["| what | measured |", "|---|---:|", *(f"| {what} | {value} |" for what, value in _shown(figures))]
    )


def _shown(figures: Figures) -> Iterator[tuple[str, str]]:
    for name, figure in figures.items():
        server, _, what = name.partition("_")
        words = what.replace("_", " ").replace(" mb", " MB").replace("per ", "for each ")
        if words.startswith("seconds "):
            in_a_second = f"{1 / figure:,.0f}" if figure < 0.1 else f"{1 / figure:.1f}"
            yield f"{server}: CPU {words.removeprefix('seconds ')}", f"{1000 * figure:,.4g} ms: {in_a_second} a second"
        elif words.startswith("cores "):
            yield f"{server}: CPU {words.removeprefix('cores ')}", f"{100 * figure:.2g} % of a core"
        elif "bytes" in words:
            named = words.replace("disk bytes", "disk").replace("bytes", "memory")
            yield f"{server}: {named}", f"{figure:,.0f} bytes" if figure < 1e5 else _megabytes(figure)
        else:
            yield f"{server}: {words}", f"{figure:g}"
