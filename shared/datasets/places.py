"""The place that a setting names."""

from functools import cache

from shared.datasets.folder import Folder
from shared.datasets.pieces import Place

BUCKET = "s3://"


@cache
def place_at(storage: str) -> Place:
    if not storage.startswith(BUCKET):
        return Folder(storage)
    from shared.datasets.bucket import Bucket  # its library is for those only who have one

    return Bucket(storage)
