"""By clicks alone, with scripts: a file, its check, the estimate, the job; and the playground."""

from pathlib import Path

from playwright.sync_api import expect

from tests.dashboard.furnished import finish
from tests.dashboard.visitor import PATIENCE_MS, Visitor
from tests.world import Person, lines, work

expect.set_options(timeout=PATIENCE_MS)


def test_from_a_file_to_a_job(alice: Person, alices: Visitor, tmp_path: Path) -> None:
    file, page = tmp_path / "support.jsonl", alices.page
    alice.create_job()
    work(2)  # the provider's models are known from now on
    file.write_bytes(lines(20))
    alices.open("/jobs/new")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("The file is being checked.")).to_be_visible()
    work(2)
    expect(page.get_by_role("heading", name="Statistics")).to_be_visible()  # by itself: nothing was loaded again
    page.get_by_role("link", name="Train a model on it").click()
    page.locator("select[name=model]").select_option("gpt-4o-mini")
    expect(page.get_by_text("Tokens billed")).to_be_visible()
    page.get_by_label("Epochs").fill("2")
    page.get_by_label("Suffix").fill("clicks")
    page.get_by_role("button", name="Create the job").click()
    page.wait_for_url(lambda url: "/jobs/ftjob-" in url)
    job = alice.http.get("/fine_tuning/jobs").json()["data"][0]
    assert (job["user_provided_suffix"], job["hyperparameters"]["n_epochs"]) == ("clicks", 2)
    assert [each for each in alices.problems if "404" not in each] == []


def test_enter_in_a_field_of_a_new_job_splits_nothing(alice: Person, alices: Visitor) -> None:
    alice.create_job()
    file, page = alice.upload(), alices.page
    work(2)
    alices.open(f"/jobs/new?training_file={file}&model=gpt-4o-mini")
    page.get_by_label("Suffix").fill("entered")
    page.get_by_label("Suffix").press("Enter")
    page.wait_for_url(lambda url: "suffix=entered" in url)
    expect(page.get_by_label("Suffix")).to_have_value("entered")
    assert f"training_file={file}" in page.url
    assert alices.violations() == []


def test_an_upload_that_is_refused_shows_why_beside_the_form(alices: Visitor, tmp_path: Path) -> None:
    file, page = tmp_path / "empty.jsonl", alices.page
    file.write_bytes(b"")
    alices.open("/datasets")
    page.get_by_label("Upload a file").set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("The file is empty")).to_be_visible()
    expect(page.get_by_label("Upload a file")).to_be_visible()


def test_answers_come_one_by_one_and_are_downloaded(alice: Person, alices: Visitor) -> None:
    job = alice.create_job(validation_file=alice.upload())
    work(2)
    finish(job)
    page = alices.page
    alices.open("/playground")
    page.get_by_label("gpt-4o-mini", exact=True).check()
    page.get_by_label("gpt-4.1-mini", exact=True).check()
    page.get_by_label("Prompt", exact=True).fill("Hello")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("input[name=answer]")).to_have_count(2)
    page.mouse.move(0, 0)
    assert alices.violations() == []
    assert not alices.is_wider_than_the_screen()
    alices.take_picture("playground-answers")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the answers").click()
    assert Path(download.value.path()).read_text().count('"prompt": "Hello"') == 2
    assert alices.problems == []
