"""Turns `TUNERY_STORAGE` into a storage location: `s3://bucket/prefix` is a bucket, anything else a folder."""

from functools import cache

from shared.datasets.storage.chunks import Location
from shared.datasets.storage.local import Folder

BUCKET = "s3://"


@cache
def location_at(storage: str) -> Location:
    if not storage.startswith(BUCKET):
        return Folder(storage)
    from shared.datasets.storage.s3 import Bucket  # loads obstore, which a folder does not need

    return Bucket(storage)
