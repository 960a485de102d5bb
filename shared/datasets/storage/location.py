"""Opens the storage location that a setting names: a folder, or a bucket of S3."""

from functools import cache

from shared.datasets.storage.chunks import Location
from shared.datasets.storage.local import Folder

BUCKET = "s3://"


@cache
def location_at(storage: str) -> Location:
    if not storage.startswith(BUCKET):
        return Folder(storage)
    from shared.datasets.storage.s3 import Bucket

    return Bucket(storage)
