"""What a sandbox with a folder was told is there after it was killed."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from openai import NotFoundError

from tests.sandbox.process import ROOT, Sandbox, chats
from tests.servers import until

QUESTION = [{"role": "user", "content": "What is number7?"}]


def killed(sandbox: Sandbox) -> None:
    assert sandbox.stop(signal.SIGKILL)[0] == -signal.SIGKILL


def ask(sandbox: Sandbox, model: str | None) -> str | None:
    assert model
    answer = sandbox.openai.chat.completions.create(model=model, messages=QUESTION)  # type: ignore[arg-type]
    return answer.choices[0].message.content


def test_a_tuned_model_answers_after_a_kill_and_its_job_and_files_are_as_before(tmp_path: Path) -> None:
    with Sandbox(folder=tmp_path, speed=0) as sandbox:
        done = sandbox.tuned()
        events, checkpoints = sandbox.messages(done), sandbox.openai.fine_tuning.jobs.checkpoints.list(done.id).data
        files = sandbox.openai.files.list().data
        assert ask(sandbox, done.fine_tuned_model) == "Hark, it is 7!"
        killed(sandbox)
    for _ in range(2):
        with Sandbox(folder=tmp_path, speed=0) as again:
            assert ask(again, done.fine_tuned_model) == "Hark, it is 7!"
            assert again.openai.fine_tuning.jobs.retrieve(done.id) == done
            assert again.messages(done) == events
            assert again.openai.fine_tuning.jobs.checkpoints.list(done.id).data == checkpoints
            assert again.openai.files.list().data == files
            assert again.openai.files.content(done.result_files[0]).content.startswith(b"step,")
            killed(again)


@pytest.mark.parametrize("status", ["validating_files", "queued", "running", "paused"])
def test_a_job_goes_on_where_it_was_and_nothing_happens_twice(tmp_path: Path, status: str) -> None:
    with Sandbox(folder=tmp_path, speed=0) as sandbox:
        job = sandbox.job(method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}})
        if status in {"running", "paused"}:
            sandbox.control(f"jobs/{job.id}", step=60)
        if status != "validating_files":
            sandbox.move(job, status=status)
        before = sandbox.messages(job)
        killed(sandbox)
    with Sandbox(folder=tmp_path, speed=0) as again:
        assert str(again.lenient.fine_tuning.jobs.retrieve(job.id).status) == status
        assert again.messages(job) == before
        ended = again.move(job, status="succeeded", hold=False)
        events = again.messages(job)
        assert [message for message in events if events.count(message) > 1 and "queued" not in message] in (
            [],
            ["Fine-tuning job started"] * 2,
        )
        assert sum(message.startswith("Step ") for message in events) == 100
        assert ask(again, ended.fine_tuned_model) == "Hark, it is 7!"


def test_a_job_runs_on_while_the_sandbox_is_dead(tmp_path: Path) -> None:
    with Sandbox(folder=tmp_path, speed=50) as sandbox:
        job = sandbox.job()
        killed(sandbox)
    with Sandbox(folder=tmp_path, speed=50) as again:
        until(lambda: again.openai.fine_tuning.jobs.retrieve(job.id).status == "succeeded")


def test_an_upload_in_parts_goes_on_and_what_is_deleted_stays_deleted(tmp_path: Path) -> None:
    content = b"\n".join(map(msgspec.json.encode, chats(20)))
    with Sandbox(folder=tmp_path) as sandbox:
        gone = sandbox.upload(*chats(12))
        sandbox.openai.files.delete(gone.id)
        upload = sandbox.openai.uploads.create(
            filename="a.jsonl", purpose="fine-tune", bytes=len(content), mime_type="text/jsonl"
        )
        first = sandbox.openai.uploads.parts.create(upload.id, data=content[:100]).id
        killed(sandbox)
    with Sandbox(folder=tmp_path) as again:
        with pytest.raises(NotFoundError):
            again.openai.files.retrieve(gone.id)
        second = again.openai.uploads.parts.create(upload.id, data=content[100:]).id
        done = again.openai.uploads.complete(upload.id, part_ids=[first, second])
        assert done.file
        assert again.openai.files.content(done.file.id).content == content
        again.control("reset")
        killed(again)
    with Sandbox(folder=tmp_path) as empty:
        assert empty.openai.files.list().data == []
        assert list((tmp_path / "files").iterdir()) == []


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all, and long enough to be taken for one" * 20)
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"The sandbox cannot read {tmp_path / 'state.db'}: file is not a database. Remove")
