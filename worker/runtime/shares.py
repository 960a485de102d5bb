"""Shares the slots of a worker between projects: none has so many that another one's step finds none.

A worker runs each step in a process of its own; a slot is the right to do so. The table of slots is in memory that all
of them share. Who has a slot holds a lock of the operating system on its entry, which ends with the process: one that
is killed keeps neither its slot nor the table.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session
from structlog import get_logger

from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.projects.models import Credential
from worker.runtime.errors import NotNow

log = get_logger(__name__)
PATIENCE_SECONDS = 0.05  # how long a step waits for a slot before it is put off
LOOK_EVERY_SECONDS = 0.005
PUT_OFF_FOR = timedelta(seconds=1)
LARGE_FILE_BYTES = 1 << 20  # a smaller file is read or checked as fast as other steps go, whatever is in it
TURN_SECONDS = 5.0  # for which a heavy slot is kept; a project whose step was put off asks again sooner
_ENTRY = struct.Struct("?64sd")  # is heavy, the project's id, when it was written (`time.monotonic()`)


class NoSlot(NotNow):
    """The project has its share of the slots: the step is put off, which counts no failure."""

    def __init__(self) -> None:
        super().__init__(utc_now() + PUT_OFF_FOR)


@dataclass(frozen=True)
class Held:
    """A slot that a process has."""

    project_id: str
    is_heavy: bool


class Shares:
    """`slots` of one worker; steps that may take long, the heavy ones, get `heavy_slots` of them at most.

    A project gets a further slot if it has at most twice as many as it leaves free: 3 of 4, 5 of 8, fewer beside
    others. Of the heavy slots it leaves free as many as it has: 1 of 2, 2 of 4. Without an id, a step is for all
    projects and always gets a slot. Create it before the processes are forked; each takes one slot at a time.
    """

    def __init__(self, slots: int) -> None:
        self.slots, self.heavy_slots = slots, max(1, slots // 2)
        self._lock, self._turn = slots, slots + 1  # numbers of entries after those of the slots
        with tempfile.TemporaryFile() as file:
            file.truncate((slots + 2) * _ENTRY.size)
            self._table = mmap.mmap(file.fileno(), 0)
            self._file = os.dup(file.fileno())
        self._mine: int | None = None

    def take(self, project_id: str, *, is_heavy: bool = False) -> bool:
        """Take a slot, or make the one that this process has a heavy one. False if the project has its share."""
        with self._locked():
            others = self._others()
            if not self._is_within_share(others, project_id):
                return False
            if is_heavy and not self._is_heavy_turn([held for held in others if held.is_heavy], project_id):
                return False
            self._enter(project_id, is_heavy)
        return True

    def take_idle(self, project_id: str) -> bool:
        """Take a slot for what nobody waits for: False unless it leaves half of the slots free."""
        with self._locked():
            if 2 * (len(self._others()) + 1) > self.slots:
                return False
            self._enter(project_id, is_heavy=False)
        return True

    def _enter(self, project_id: str, is_heavy: bool) -> None:
        if self._mine is None:
            self._mine = next(number for number in range(self.slots) if self._try_lock(number))
        self._write(self._mine, project_id, is_heavy)

    def leave(self) -> None:
        """Give back the slot of this process, if it has one."""
        if self._mine is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._mine)
            self._mine = None

    def wait_for_slot(self, project_id: str) -> None:
        """Wait a little until the project may take a slot: the step that has the last one may be about to end."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with self._locked():
                if self._is_within_share(self._others(), project_id):
                    return
            time.sleep(LOOK_EVERY_SECONDS)

    def _is_within_share(self, others: list[Held], project_id: str) -> bool:
        has = sum(held.project_id == project_id for held in others)
        return not project_id or has <= 2 * (self.slots - len(others) - 1)

    def _is_heavy_turn(self, others: list[Held], project_id: str) -> bool:
        """The last free slot is kept for a project that has none, and was refused one before."""
        has = sum(held.project_id == project_id for held in others)
        left = self.heavy_slots - len(others) - 1
        _, turn, since = self._read(self._turn)
        is_kept = turn not in ("", project_id) and time.monotonic() - since < TURN_SECONDS
        may_take = has <= left and not (is_kept and left == 0)
        if not is_kept and (may_take or has == 0):
            self._write(self._turn, "" if may_take else project_id, is_heavy=True)
        return may_take

    def _others(self) -> list[Held]:
        held = []
        for number in range(self.slots):
            if number == self._mine:
                continue
            if self._try_lock(number):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)
                continue
            is_heavy, project_id, _ = self._read(number)
            held.append(Held(project_id, is_heavy))
        return held

    def _read(self, number: int) -> tuple[bool, str, float]:
        is_heavy, project_id, written_at = _ENTRY.unpack_from(self._table, number * _ENTRY.size)
        return is_heavy, project_id.rstrip(b"\0").decode(), written_at

    def _write(self, number: int, project_id: str, is_heavy: bool) -> None:
        entry = is_heavy, project_id.encode(), time.monotonic()
        _ENTRY.pack_into(self._table, number * _ENTRY.size, *entry)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._lock)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._lock)

    def _try_lock(self, number: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:  # another process has it
            return False
        return True


_shares: Shares | None = None  # None in a process that runs one step at a time, or whose steps are threads


def share(slots: int) -> None:
    """Share this many slots between the processes that are forked from now on."""
    global _shares
    _shares = Shares(slots) if slots > 1 else None
    if _shares is None:
        log.warning("this worker has one slot, and shares nothing: a long step of one project holds up all others")


def wait_for_slot(project_id: str) -> None:
    if _shares is not None:
        _shares.wait_for_slot(project_id)


def owner_of(session: Session, row: DueTable | OwnedDue) -> str:
    """The project whose share of the slots a step takes: the row's, or that of the account that the row is about."""
    project_id: str | None = getattr(row, "project_id", None)
    if project_id is None and (credential_id := getattr(row, "credential_id", None)) is not None:
        project_id = session.get_one(Credential, credential_id).project_id
    return project_id or ""


def take_slot(project_id: str, *, is_heavy: bool = False) -> None:
    """Raises `NoSlot` if the project has its share."""
    if _shares is not None and not _shares.take(project_id, is_heavy=is_heavy):
        raise NoSlot


def take_idle_slot(project_id: str) -> bool:
    """Whether the worker has a slot to spare for what nobody waits for; never one that shares nothing."""
    return _shares is not None and _shares.take_idle(project_id)


def leave_slot() -> None:
    if _shares is not None:
        _shares.leave()
