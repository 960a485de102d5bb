"""Lets one stream wait for several jobs at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from api.streams.feed import Entry, poller
from api.streams.polling import Cursor
from shared.jobs.models import Job
from shared.projects.callers import Presented


class Cursors:
    """The cursors of several jobs as one: there is news when one of them has some, and it ends with the first."""

    def __init__(self, cursors: Sequence[Cursor[Entry]]) -> None:
        self.cursors = cursors
        for each in cursors:
            each.has_news = cursors[0].has_news

    @property
    def is_over(self) -> bool:
        return any(each.is_over for each in self.cursors)

    def take(self) -> list[Entry] | None:
        taken = [each.take() for each in self.cursors]
        return None if None in taken else [entry for entries in taken for entry in entries or []]

    async def wait(self, seconds: float) -> bool:
        return await self.cursors[0].wait(seconds)

    def end(self) -> None:
        for each in self.cursors:
            each.end()


@contextmanager
def follow(jobs: Sequence[Job], key: Presented) -> Iterator[Cursors]:
    """Open a cursor at the end of the feed of each of these jobs. They must have been read just now."""
    with ExitStack() as stack:
        yield Cursors([stack.enter_context(poller.follow(job, key)) for job in jobs])
