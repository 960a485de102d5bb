"""A multipart form with one file, taken in as it comes: the file goes to storage piece by piece, nothing is held."""

import anyio.to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from shared.datasets.storage import Writer
from shared.errors import Invalid, TooLarge

WRITE_AT_ONCE = 1 << 20
FIELD_BYTES = 4096
FIELDS = 16
BOUNDARY_BYTES = 256  # RFC 2046 says 70, and the parser takes no more than this


class FormWithFile:
    """The file's name, its bytes in the writer, and the other fields as text."""

    def __init__(self, writer: Writer, limit: int) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._writer = writer
        self._limit = limit
        self._received = 0
        self._pending = bytearray()
        self._header = (bytearray(), bytearray())
        self._name = ""
        self._in_file = False
        self._value = bytearray()
        self._complete = False

    async def receive(self, request: Request) -> None:
        """Read the body to its end. Raises `Invalid` for a broken form and `TooLarge` beyond the limit."""
        parser = self._parser(_boundary(request))
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit + WRITE_AT_ONCE:
            raise self._too_large()
        async for chunk in request.stream():
            try:
                parser.write(chunk)
            except MultipartParseError as error:
                raise Invalid(f"The multipart body is broken: {error}", code="invalid_multipart") from None
            if len(self._pending) >= WRITE_AT_ONCE:
                await self._flush()
        await self._flush()
        if not self._complete:
            raise Invalid("The multipart body ends before its last boundary", code="invalid_multipart")

    async def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        await anyio.to_thread.run_sync(self._writer.write, pending)

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
        if self._name == "file":
            if self.filename is not None:
                raise Invalid("The form has more than one file", param="file")
            if b"filename" not in options:
                raise Invalid("The field `file` must be a file with a name", param="file")
            self.filename = options[b"filename"].decode(errors="replace")
            self._in_file = True

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._received += end - start
            if self._received > self._limit:
                raise self._too_large()
            self._pending += data[start:end]
        elif len(self._value) + end - start > FIELD_BYTES:
            raise Invalid(f"The field is longer than {FIELD_BYTES} bytes", param=self._name[:64] or None)
        else:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._in_file:
            return
        if len(self.fields) >= FIELDS:
            raise Invalid("The form has too many fields", code="unknown_parameter")
        self.fields[self._name] = self._value.decode(errors="replace")

    def _on_end(self) -> None:
        self._complete = True

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The file is larger than {self._limit} bytes, the most that is taken here",
            code="file_too_large",
            param="file",
        )


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not 0 < len(options.get(b"boundary", b"")) <= BOUNDARY_BYTES:
        raise Invalid("Send the file as multipart/form-data with a boundary", code="invalid_multipart", param="file")
    return options[b"boundary"]
