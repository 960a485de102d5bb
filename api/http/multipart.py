"""Reads a multipart form with one file while it arrives: the file's bytes go to storage, never whole into memory."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import anyio
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartState, parse_options_header
from starlette.requests import Request

from api.http import unknown_keys
from shared.datasets.storage.store import Writer
from shared.errors import Invalid, TooLarge

WRITE_BYTES = 1 << 20
MAX_FIELD_BYTES = 4096
MAX_FIELDS = 16
MAX_BOUNDARY_BYTES = 256  # RFC 2046 allows 70; the parser accepts up to 256
WRITE_THREADS = 16
_threads = ThreadPoolExecutor(WRITE_THREADS, "storage")  # of their own: slow storage must not delay other requests


class FormWithFile:
    """A form's `filename` and `fields`; the bytes of the file named `field` go to `writer`.

    `written` is called each time that some were written, in a thread.
    """

    def __init__(
        self, writer: Writer, field: str, max_bytes: int, written: Callable[["FormWithFile"], object] = lambda _: None
    ) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._writer = writer
        self._field = field
        self._max_bytes = max_bytes
        self._tell_written = written
        self._received = 0
        self._pending: list[memoryview] = []  # not yet copied: the thread that writes joins them
        self._pending_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._header = (bytearray(), bytearray())
        self._name = ""
        self._in_file = False
        self._value = bytearray()
        self._complete = False

    async def receive(self, request: Request) -> None:
        """Read the body to its end. Raises `Invalid` for a broken form and `TooLarge` beyond the limit."""
        parser = self._parser(_boundary(request, self._field))
        declared = request.headers.get("content-length", "")
        # A form may be larger than its file by its other fields, for which the extra megabyte is enough.
        if declared.isdecimal() and int(declared) > self._max_bytes + WRITE_BYTES:
            raise self._too_large()
        try:
            async for chunk in request.stream():
                self._parse(parser, chunk)
                if self._pending_bytes >= WRITE_BYTES:
                    await self._flush()
            await self._flush()
        finally:
            await self._written()
        if not self._complete:
            raise Invalid("The multipart body ends before its last boundary", code="invalid_multipart")

    def _parse(self, parser: MultipartParser, chunk: bytes) -> None:
        # A boundary begins with CR. To find one byte is twenty times as fast as to find a boundary.
        if self._in_file and parser.state == MultipartState.PART_DATA and parser.index == 0 and b"\r" not in chunk:
            self._on_part_data(chunk, 0, len(chunk))
            return
        try:
            parser.write(chunk)
        except MultipartParseError as error:
            raise Invalid(f"The multipart body is broken: {error}", code="invalid_multipart") from None

    def check(self, allowed: Collection[str] = ()) -> str:
        """Return the file's name. Raises `Invalid` if the file is missing or empty, or a field is not in `allowed`."""
        if self.filename is None:
            message = f"The form has no field `{self._field}`"
            raise Invalid(message, code="missing_required_parameter", param=self._field)
        if self._writer.bytes == 0:
            raise Invalid("The file is empty", code="empty_file", param=self._field)
        if unknown := [name for name in self.fields if name not in allowed]:
            message = unknown_keys.sentence("field of the form", unknown, {self._field, *allowed})
            raise Invalid(message, code=unknown_keys.CODE, param=unknown[0][:64])
        return self.filename

    async def _flush(self) -> None:
        """Start writing the pending bytes in a thread. Receiving the next bytes meanwhile doubles the throughput."""
        await self._written()
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(_threads, self._write, pending)

    def _write(self, chunks: list[memoryview]) -> None:
        self._writer.write(b"".join(chunks))
        self._tell_written(self)

    async def _written(self) -> None:
        """Wait for the write under way, also in a cancelled request: the caller is about to remove these bytes."""
        writing, self._writing = self._writing, None
        if writing is not None:
            with anyio.CancelScope(shield=True):
                await writing

    def _parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_header_begin": self._on_header_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def _on_part_begin(self) -> None:
        self._name, self._in_file, self._value = "", False, bytearray()

    def _on_header_begin(self) -> None:
        self._header = (bytearray(), bytearray())

    def _on_header_end(self) -> None:
        name, value = self._header
        if name.lower() != b"content-disposition":
            return
        _, options = parse_options_header(bytes(value))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == self._field:
            if self.filename is not None:
                raise Invalid("The form has more than one file", param=self._field)
            if b"filename" not in options:
                raise Invalid(f"The field `{self._field}` must be a file with a name", param=self._field)
            self.filename = options[b"filename"].decode(errors="replace")
            self._in_file = True

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._received += end - start
            if self._received > self._max_bytes:
                raise self._too_large()
            self._pending.append(memoryview(data)[start:end])
            self._pending_bytes += end - start
        elif len(self._value) + end - start > MAX_FIELD_BYTES:
            raise Invalid(f"The field is longer than {MAX_FIELD_BYTES} bytes", param=self._name[:64] or None)
        else:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._in_file:
            return
        if len(self.fields) >= MAX_FIELDS:
            raise Invalid(f"The form has more than {MAX_FIELDS} fields", code="unknown_parameter")
        self.fields[self._name] = self._value.decode(errors="replace")

    def _on_end(self) -> None:
        self._complete = True

    def _too_large(self) -> TooLarge:
        sentence = f"The file is larger than {self._max_bytes} bytes, the limit of this server"
        return TooLarge(sentence, code="file_too_large", param=self._field)


def _boundary(request: Request, field: str) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not 0 < len(options.get(b"boundary", b"")) <= MAX_BOUNDARY_BYTES:
        raise Invalid("Send the file as multipart/form-data with a boundary", code="invalid_multipart", param=field)
    return options[b"boundary"]
