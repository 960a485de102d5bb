"""The place that a setting names."""

from functools import cache

from shared.datasets.storage.chunks import Place
from shared.datasets.storage.local import Folder

BUCKET = "s3://"


@cache
def place_at(storage: str) -> Place:
    if not storage.startswith(BUCKET):
        return Folder(storage)
    from shared.datasets.storage.s3 import Bucket

    return Bucket(storage)
