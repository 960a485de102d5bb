"""Answers many requests at once: between two steps of the batch, rows join and leave.

A prompt is read alone, in pieces, with a step of the batch between two of them: so a long one holds the others up for
one piece at most, and no prompt is ever padded. Then its keys and values join those of the batch, padded on the left.
"""

import threading
import traceback
from collections import deque
from typing import Any

import torch

from trainer.serving import cache, memory
from trainer.serving.model import Model
from trainer.serving.request import Refused
from trainer.serving.row import Row
from trainer.serving.sampling import Spelling

PIECE = {"cpu": 256, "cuda": 4096}  # tokens of a prompt that are read between two steps


class Engine:
    def __init__(self, model: Model, most_rows: int, most_waiting: int):
        self._model = model
        self._spelling = Spelling(model.tokenizer)
        self._most_rows = most_rows
        self._most_waiting = most_waiting
        self._memory = memory.for_rows(model.device)
        self._token_bytes = 0
        self._changed = threading.Condition()
        self._waiting: deque[Row] = deque()
        self._reading: Row | None = None  # its prompt, of which `_read` are read
        self._read: Any = None
        self._rows: list[Row] = []
        self._cache: Any = None

    def submit(self, row: Row) -> None:
        """Raises Refused if too many wait."""
        with self._changed:
            if len(self._waiting) >= self._most_waiting:
                raise Refused("too_many_waiting", f"{self._most_waiting} requests wait. Try again later.", status=429)
            self._waiting.append(row)
            self._changed.notify()

    def run(self) -> None:
        """Never returns."""
        while True:
            with self._changed:
                while not (self._waiting or self._reading or self._rows):
                    self._changed.wait()
            try:
                self._turn()
            except Exception as error:  # nobody would be answered again if this thread ended
                self._fail_all(error)

    def _turn(self) -> None:
        self._drop_finished()
        if self._reading is None:
            self._reading = self._next()
        if self._reading is not None:
            self._read_piece(self._reading)
        if self._rows:
            self._step()

    def _fail_all(self, error: Exception) -> None:
        """Those in the batch; the ones that wait are answered with a new one."""
        for row in [*self._rows, *([self._reading] if self._reading else [])]:
            if not row.is_done:
                _fail(row, error)
        self._rows, self._cache, self._reading, self._read = [], None, None, None

    def _next(self) -> Row | None:
        """The row that has waited longest, if there is room for it."""
        with self._changed:
            self._waiting = deque(row for row in self._waiting if not row.cancelled)
            if not self._waiting or not self._has_room(self._waiting[0]):
                return None
            row = self._waiting.popleft()
        try:
            row.adapter = self._model.adapters.name_of(row.request.adapter, self._adapters())
        except Refused as refused:
            row.refuse(refused)
            return None
        except Exception as error:  # one request's failure must not end the others'
            _fail(row, error)
            return None
        return row

    def _has_room(self, row: Row) -> bool:
        """A row alone is always tried; with others, all of them must fit even if each becomes as long as it may."""
        if not self._rows:
            return True
        longest = max(one.most for one in [*self._rows, row])
        fits = (len(self._rows) + 1) * longest * self._token_bytes <= self._memory
        return (
            fits
            and len(self._rows) < self._most_rows
            and self._model.adapters.has_room(row.request.adapter, self._adapters())
        )

    def _adapters(self) -> list[str]:
        return [row.adapter for row in self._rows]

    def _read_piece(self, row: Row) -> None:
        begin = self._read.get_seq_length() if self._read else 0
        piece = row.prompt[begin : begin + PIECE[self._model.device.type]]
        self._read = self._read or cache.empty()
        try:
            logits = self._model.forward([piece], [row.adapter], past_key_values=self._read)
            if begin + len(piece) < len(row.prompt):
                return
            self._take(row, logits[0])
            if not row.is_done:
                self._join(row)
        except Exception as error:  # one request's failure must not end the others'
            _fail(row, error)
        self._reading = self._read = None

    def _join(self, row: Row) -> None:
        self._token_bytes = cache.bytes_of_a_token(self._read)
        self._cache = cache.joined([self._cache, self._read] if self._rows else [self._read])
        self._rows.append(row)

    def _step(self) -> None:
        columns = self._cache.get_seq_length()
        try:
            logits = self._model.forward(
                [[row.completion[-1]] for row in self._rows],
                self._adapters(),
                past_key_values=self._cache,
                **self._places(),
            )
        except Exception as error:
            self._survive(error, columns)
            return
        for row, of_row in zip(self._rows, logits, strict=True):
            self._take(row, of_row)

    def _take(self, row: Row, logits: torch.Tensor) -> None:
        try:
            row.take(logits, self._spelling, self._model.ends)
        except Exception as error:
            _fail(row, error)

    def _places(self) -> dict[str, Any]:
        """Where each row's newest token is, and which columns are padding."""
        lengths = torch.tensor([[row.in_cache] for row in self._rows], device=self._model.device)
        columns = torch.arange(self._cache.get_seq_length() + 1, device=self._model.device)
        mask = columns >= len(columns) - 1 - lengths
        return {"position_ids": lengths, "attention_mask": None if bool(mask.all()) else mask.long()}

    def _survive(self, error: Exception, columns: int) -> None:
        """Without memory, the longest row goes, and the others repeat the step; after anything else all have failed."""
        if not memory.is_exhausted(error):
            for row in self._rows:
                _fail(row, error)
            return
        _fail(max(self._rows, key=lambda row: row.in_cache), error)
        for layer in self._cache.layers:
            layer.crop(columns - layer.get_seq_length())

    def _drop_finished(self) -> None:
        """What is cancelled or done leaves, and with it the columns that only it needed."""
        if self._reading is not None and self._reading.cancelled:
            self._reading = self._read = None
        going_on = [i for i, row in enumerate(self._rows) if not (row.is_done or row.cancelled)]
        if len(going_on) == len(self._rows):
            return
        self._rows = [self._rows[i] for i in going_on]
        self._cache = cache.kept(self._cache, going_on, max(row.in_cache for row in self._rows)) if self._rows else None


def _fail(row: Row, error: Exception) -> None:
    if memory.is_exhausted(error):
        row.fail(
            429,
            "out_of_memory",
            "There is not enough memory for an answer of this length now. Try again later, or ask for less.",
        )
        return
    traceback.print_exception(error)
    row.fail(
        500, "serving_failed", f"The model failed: {type(error).__name__}. The log of the serving process says more."
    )
