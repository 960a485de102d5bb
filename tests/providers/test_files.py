"""Training files: whole or in parts, found again, deleted; and the results of a job."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest

from shared.db.times import utc_now
from tests.providers.stand_ins import EXPIRY, LONG_AGO, Far, new_file
from tests.world import lines
from worker.providers.errors import ProviderError

NAME = "file-a.jsonl"


def read(far: Far, file_id: str) -> bytes:
    return b"".join(far.provider.read_file(file_id))


def test_a_whole_file_arrives_as_it_was_sent(far: Far) -> None:
    file = far.file(lines(20))
    assert (file.name, file.bytes) == (NAME, far.says("bytes", len(lines(20))))
    assert file.created_at is not None
    assert abs(file.created_at - utc_now()) < timedelta(minutes=1)
    assert read(far, file.id) == lines(20)


def test_a_file_is_asked_for_its_name(far: Far) -> None:
    assert far.provider.file_name(far.file().id) == NAME
    far.answer("file_name", {far.stand_in.id_field: "file-1", "filename": None})
    assert far.provider.file_name("file-1") == ""


@pytest.mark.parametrize("expiry", [EXPIRY, timedelta(days=30)], ids=str)
def test_a_file_expires_when_it_was_asked_to(far: Far, expiry: timedelta) -> None:
    file = far.provider.create_file(new_file(NAME, lines()), expiry)
    if not far.stand_in.files_expire:
        assert file.expires_at is None
        return
    assert file.expires_at is not None
    assert file.created_at is not None
    assert file.expires_at - file.created_at == expiry


def test_no_expiry_is_asked_for_with_zero(far: Far) -> None:
    assert far.provider.create_file(new_file(NAME, lines()), timedelta()).expires_at is None


def test_a_file_arrives_in_parts(far: Far) -> None:
    far.needs("create_upload", "create_part", "complete_upload")
    content = lines(60)
    middle = len(content) // 2
    upload_id = far.provider.create_upload(NAME, len(content), EXPIRY)
    parts = [far.provider.create_part(upload_id, BytesIO(part)) for part in (content[:middle], content[middle:])]
    file = far.provider.complete_upload(upload_id, parts)
    assert (file.name, file.bytes) == (NAME, len(content))
    assert read(far, file.id) == content
    assert far.provider.find_file(NAME, len(content), LONG_AGO) == file


def test_an_upload_that_is_over_is_refused_for_good(far: Far) -> None:
    """The worker then looks for its file, or begins another."""
    far.needs("create_upload", "create_part", "complete_upload")
    upload_id = far.provider.create_upload(NAME, len(lines()), EXPIRY)
    part_id = far.provider.create_part(upload_id, BytesIO(lines()))
    far.provider.complete_upload(upload_id, [part_id])
    with pytest.raises(ProviderError) as refusal:
        far.provider.complete_upload(upload_id, [part_id])
    assert not refusal.value.retryable


def test_a_file_is_found_by_its_name_and_size(far: Far) -> None:
    file = far.file()
    far.file(name="file-b.jsonl")
    size = len(lines())
    assert far.provider.find_file(NAME, size, LONG_AGO) == file
    assert far.provider.find_file(NAME, size + 1, LONG_AGO) == (file if "bytes" in far.stand_in.unsaid else None)
    assert far.provider.find_file("file-c.jsonl", size, LONG_AGO) is None


def test_a_search_ends_at_files_that_are_older_than_the_attempt(far: Far) -> None:
    far.file()
    assert far.provider.find_file(NAME, len(lines()), utc_now() + timedelta(hours=1)) is None


ENDS: list[dict[str, Any]] = [{"drop": "after"}, {"status": 500, "after_effect": True}, {"delay_after": 3}]


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_file_whose_upload_had_no_usable_answer_is_found(far: Far, end: dict[str, Any]) -> None:
    far.fault("create_file", **end)
    with pytest.raises(ProviderError) as failure:
        far.file()
    assert failure.value.effect_unknown
    assert far.provider.find_file(NAME, len(lines()), LONG_AGO) is not None
    assert len(far.provider.list_files()) == 1


def test_the_list_holds_training_files_only(far: Far) -> None:
    job = far.running_job()
    far.sandbox.move(job.id, status="succeeded")
    assert [file.id for file in far.provider.list_files()] == [job.training_file]


def test_a_deleted_file_is_gone_and_a_second_delete_says_so(far: Far) -> None:
    file = far.file()
    far.provider.delete_file(file.id)
    assert far.provider.list_files() == []
    with pytest.raises(ProviderError) as refusal:
        far.provider.delete_file(file.id)
    assert refusal.value.status == 404


def test_the_results_of_a_job_can_be_read(far: Far) -> None:
    job = far.running_job()
    far.sandbox.move(job.id, status="succeeded")
    seen = far.provider.get_job(job.id)
    assert seen.result_files
    curve, *others = seen.result_files
    assert b"train_loss" in read(far, curve)
    assert all(read(far, file_id) for file_id in others)


def test_a_file_that_is_not_there_cannot_be_read(far: Far) -> None:
    with pytest.raises(ProviderError) as refusal:
        read(far, "file-nobody")
    assert (refusal.value.status, refusal.value.retryable) == (404, False)
