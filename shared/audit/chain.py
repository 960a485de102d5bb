"""Verifies the audit log: each entry carries the hash of the one before it, the head of its chain that of the last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text
from sqlmodel import Session, col, select

from shared.audit.models import AuditChain

MAX_PROBLEMS = 100  # that are listed; all are counted
_BATCH_ROWS = 5_000
# The text of an entry is that of `tunery_audit_hash`, written here once more: who can change the log can change it.
_ENTRIES = text(
    "select coalesce(project_id, '') as chain, chain_position, id, previous_hash, jsonb_build_array("
    "chain_position, id, extract(epoch from created_at), type, actor, api_key_id,"
    " project_id, resource_id, address, request_id, count, details)::text as content"
    " from audit_logs order by 1, 2, 3"
)


class Entry(NamedTuple):
    chain: str
    position: int | None
    id: str
    previous_hash: bytes | None
    content: str

    def hash(self) -> bytes:
        return sha256((self.previous_hash or b"") + self.content.encode()).digest()


@dataclass(frozen=True)
class Problem:
    """`position` and `id` are those of the entry; for missing ones `position` is the first, and there is no id."""

    kind: Literal["changed", "missing", "added"]
    chain: str
    position: int | None
    id: str | None = None
    count: int = 1


class Head(NamedTuple):
    """How many entries of a chain were ever written, and the newest one's hash, in hexadecimal digits."""

    entries: int
    hash: str


@dataclass
class Report:
    """What was found. `problems` has the first ones, `counts` all by kind; `heads` are those of the chains by name."""

    entries: int = 0
    pruned: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        self.counts[problem.kind] = self.counts.get(problem.kind, 0) + problem.count
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def verify(session: Session, noted: Mapping[str, Head]) -> Report:
    """Walk all chains as they are at one moment. `noted` are the heads of an earlier report, which must still be there.

    Needs a transaction in which nothing was read yet.
    """
    connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    report = Report()
    heads = {head.chain: head for head in session.exec(select(AuditChain).order_by(col(AuditChain.chain)))}
    walked = set[str]()
    for chain, entries in groupby(_read(connection), key=lambda entry: entry.chain):
        walked.add(chain)
        _walk(report, heads.get(chain) or AuditChain(chain=chain, entries=0, hash=b""), entries, noted.get(chain))
    for chain in (heads.keys() | noted.keys()) - walked:
        _walk(report, heads.get(chain) or AuditChain(chain=chain, entries=0, hash=b""), iter(()), noted.get(chain))
    return report


def _read(connection: Connection) -> Iterator[Entry]:
    rows = connection.execution_options(yield_per=_BATCH_ROWS).execute(_ENTRIES)
    return (Entry(*row) for row in rows)


def _walk(report: Report, head: AuditChain, entries: Iterator[Entry], noted: Head | None) -> None:
    report.pruned += head.pruned
    report.heads[head.chain] = Head(head.entries, head.hash.hex())
    last: Entry | None = None
    position, hash = head.pruned, head.pruned_hash
    known = {head.pruned: hash.hex()}
    for entry in entries:
        report.entries += 1
        if entry.position is None or entry.position <= position:
            report.add(Problem("added", entry.chain, entry.position, entry.id))
            continue
        if entry.position > position + 1:
            report.add(Problem("missing", entry.chain, position + 1, count=entry.position - position - 1))
        elif entry.previous_hash != hash:
            blamed = last or entry
            report.add(Problem("changed", entry.chain, blamed.position, blamed.id))
        last, position, hash = entry, entry.position, entry.hash()
        if noted and position == noted.entries:
            known[position] = hash.hex()
    _compare_with_head(report, head, last, position, hash)
    if noted and noted.entries > head.pruned and known.get(noted.entries) != noted.hash:
        report.add(Problem("changed" if noted.entries in known else "missing", head.chain, noted.entries))


def _compare_with_head(report: Report, head: AuditChain, last: Entry | None, position: int, hash: bytes) -> None:
    if position < head.entries:
        report.add(Problem("missing", head.chain, position + 1, count=head.entries - position))
    elif position > head.entries:
        report.add(Problem("added", head.chain, head.entries + 1, count=position - head.entries))
    elif hash != head.hash:
        report.add(Problem("changed", head.chain, position, last.id if last else None))
