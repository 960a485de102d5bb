"""The entry point of a process that checks ranges of a file: `python -m …validation.scanning.child_process`."""

import sys
from typing import BinaryIO

from shared.datasets.storage.chunks import Source
from shared.datasets.storage.local import Folder
from shared.datasets.storage.location import location_at
from shared.datasets.validation.scanning.processes import Request, receive, send
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions


def open_again(source: Source) -> BinaryIO:
    location = location_at(source.storage)
    is_one = isinstance(location, Folder) and len(source.pieces) == 1
    return location.open(source.pieces[0].key) if is_one else location.open_joined(source.pieces)


def serve() -> None:
    """Receive the file and the options, then check one range after another until the parent closes the pipe."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    source, options = receive(requests, Source), receive(requests, ScanOptions)
    if source is None or options is None:
        return
    scanner = RangeScanner(options)
    with open_again(source) as file:
        while (request := receive(requests, Request)) is not None:
            send(answers, scanner.scan(file, *request))


if __name__ == "__main__":
    serve()
