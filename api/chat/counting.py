"""Counts what answers have used: in memory, and once a minute in the database, by a thread of its own.

No answer waits for it. A process that is killed loses what it has counted since it last wrote.
"""

import threading
from collections import defaultdict
from datetime import date, timedelta

from sqlalchemy.exc import SQLAlchemyError
from structlog import get_logger

from shared.database import transaction
from shared.db.times import utc_now
from shared.inference.recording import Place, Used, record

log = get_logger(__name__)
WRITE_INTERVAL = timedelta(minutes=1)
MAX_COUNTED = 10_000  # names of models in memory, of all projects
WRITE_AT = MAX_COUNTED // 2  # so that one project with many names leaves others room
Key = tuple[str, date, Place]  # the first is the project


class UsageCounter:
    """The sums of one process that are not yet written. A timer runs while there are some."""

    def __init__(self) -> None:
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._sums: dict[Key, Used] = {}
        self._timer: threading.Timer | None = None

    def count(self, project_id: str, place: Place, used: Used) -> None:
        """Add what an answer has used, to be written within `WRITE_INTERVAL`."""
        self._add((project_id, utc_now().date(), place), used)

    def _add(self, key: Key, used: Used) -> None:
        with self._lock:
            if key not in self._sums and len(self._sums) >= MAX_COUNTED:
                log.error("too many models are asked at once to count what each uses", project_id=key[0])
                return
            is_new = key not in self._sums
            self._sums.setdefault(key, Used()).add(used)
            if is_new and len(self._sums) == WRITE_AT:
                self._write_in(0)
            elif self._timer is None:
                self._write_in(WRITE_INTERVAL.total_seconds())

    def _write_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self.flush)
        self._timer.daemon = True
        self._timer.start()

    def flush(self) -> None:
        """Write what has been counted. What Postgres does not take is kept, and written later."""
        with self._writing:
            days: defaultdict[tuple[str, date], dict[Place, Used]] = defaultdict(dict)
            for (project_id, day, place), used in self._take().items():
                days[project_id, day][place] = used
            for (project_id, day), its in days.items():
                self._write(project_id, day, its)

    def _take(self) -> dict[Key, Used]:
        with self._lock:
            taken, self._sums = self._sums, {}
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            return taken

    def _write(self, project_id: str, day: date, its: dict[Place, Used]) -> None:
        try:
            with transaction(project_id) as session:
                record(session, project_id, day, its)
        except SQLAlchemyError as error:
            log.warning("what models have used cannot be recorded yet", project_id=project_id, reason=str(error))
            for place, used in its.items():
                self._add((project_id, day, place), used)
        except Exception:  # it would be the same the next time, and the other projects' would be lost with it
            log.exception("what models have used cannot be recorded, and is lost", project_id=project_id)


counter = UsageCounter()
