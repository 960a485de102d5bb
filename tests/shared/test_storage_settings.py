"""What TUNERY_STORAGE may be: a folder or a bucket; anything else is refused when a server starts."""

import pytest

from shared.datasets.storage.local import Folder
from shared.datasets.storage.location import location_at
from shared.datasets.storage.s3 import Bucket
from shared.setting_problems import WrongSettings
from shared.settings import get_settings
from tests.worker.support import settings

TAKEN = {
    "storage": ("storage", Folder),
    "./storage": ("./storage", Folder),
    "/srv/tunery": ("/srv/tunery", Folder),
    "/srv/with space": ("/srv/with space", Folder),
    "s3": ("s3", Folder),
    "s3:/bucket": ("s3:/bucket", Folder),
    "file:///srv/tunery": ("/srv/tunery", Folder),
    "s3://bucket": ("s3://bucket", Bucket),
    "s3://bucket/": ("s3://bucket/", Bucket),
    "s3://bucket/a/prefix": ("s3://bucket/a/prefix", Bucket),
}
REFUSED = [
    "",
    "file://",
    "file:///",
    "file://srv/tunery",
    "s3://",
    "s3:///prefix",
    "S3://bucket",
    "gs://bucket",
    "https://bucket.s3.amazonaws.com",
    "postgres://db/files",
]


@pytest.mark.parametrize(("setting", "value", "kind"), [(each, *expected) for each, expected in TAKEN.items()])
def test_a_folder_or_a_bucket_is_taken(
    server: str, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, kind: type
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with settings(TUNERY_STORAGE=setting):
        assert get_settings().storage == value
        assert type(location_at(value)) is kind


@pytest.mark.parametrize("setting", REFUSED)
def test_anything_else_is_refused(server: str, setting: str) -> None:
    with pytest.raises(WrongSettings, match="TUNERY_STORAGE: "), settings(TUNERY_STORAGE=setting):
        get_settings()


def test_a_location_is_opened_once(server: str) -> None:
    assert location_at("/srv/tunery") is location_at("/srv/tunery")
    assert location_at("/srv/tunery") is not location_at("/srv/other")
