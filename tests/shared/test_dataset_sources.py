"""Where a dataset comes from: a file, examples or a URL, and how it may be split."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.datasets.service import clean_filename
from shared.datasets.sources import Split, SplitSource, UrlSource, read_source
from shared.datasets.views import DatasetCreate
from shared.errors import Invalid

SPLIT = {"split_of": "file-1", "part": "training", "fraction": 0.1, "count": None, "seed": 7}
EXAMPLES: list[dict[str, Any]] = [{"messages": []}]


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        ({"url": "https://data.example/train.jsonl"}, UrlSource),
        (SPLIT, SplitSource),
        ({**SPLIT, "part": "validation", "fraction": None, "count": 3}, SplitSource),
    ],
)
def test_a_stored_source_is_read_as_it_was_written(stored: dict[str, Any], kind: type) -> None:
    source = read_source(stored)
    assert type(source) is kind
    assert source.model_dump() == stored


@pytest.mark.parametrize("stored", [{}, {"path": "/etc/passwd"}, {**SPLIT, "part": "test"}, {"split_of": "file-1"}])
def test_a_source_of_no_known_kind_is_an_error(stored: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_source(stored)


@pytest.mark.parametrize(
    "body",
    [
        {"file_id": "file-1"},
        {"examples": EXAMPLES},
        {"url": "https://data.example/"},
        {"url": "https://data.example/", "name": "ours", "metadata": {"team": "search"}, "split": {"count": 1}},
    ],
)
def test_a_dataset_has_one_source(body: dict[str, Any]) -> None:
    assert DatasetCreate.model_validate(body).model_dump(exclude_none=True, exclude={"split"}) == {
        name: value for name, value in body.items() if name != "split"
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ()),
        ({"name": "ours"}, ()),
        ({"file_id": "file-1", "url": "https://data.example/"}, ()),
        ({"file_id": "file-1", "examples": EXAMPLES, "url": "https://data.example/"}, ()),
        ({"examples": []}, ("examples",)),
        ({"url": ""}, ("url",)),
        ({"url": "https://" + "a" * 2041}, ("url",)),
        ({"file_id": "f" * 65}, ("file_id",)),
        ({"file_id": "file-1", "name": ""}, ("name",)),
        ({"file_id": "file-1", "name": "n" * 129}, ("name",)),
        ({"file_id": "file-1", "path": "/etc/passwd"}, ("path",)),
        ({"file_id": "file-1", "split": {"count": 0}}, ("split", "count")),
    ],
)
def test_a_dataset_with_no_or_two_sources_or_a_bad_field_is_refused(body: dict[str, Any], where: tuple[str]) -> None:
    with pytest.raises(ValidationError) as error:
        DatasetCreate.model_validate(body)
    assert [each["loc"] for each in error.value.errors()] == [where]


@pytest.mark.parametrize(
    "split",
    [
        {"fraction": 0.2},
        {"fraction": 0.999999},
        {"count": 1},
        {"count": 10_000_000, "seed": 2**31 - 1},
    ],
)
def test_a_split_has_a_fraction_or_a_count(split: dict[str, Any]) -> None:
    assert Split.model_validate(split).model_dump(exclude_unset=True) == split


@pytest.mark.parametrize(
    "split",
    [
        {},
        {"seed": 1},
        {"fraction": 0.2, "count": 3},
        {"fraction": 0},
        {"fraction": 1},
        {"fraction": -0.1},
        {"fraction": float("nan")},
        {"fraction": "0.2"},
        {"count": 0},
        {"count": 1.5},
        {"count": True},
        {"count": 10_000_001},
        {"count": 1, "seed": -1},
        {"count": 1, "seed": 2**31},
        {"count": 1, "ratio": 2},
    ],
)
def test_any_other_split_is_refused(split: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Split.model_validate(split)


@pytest.mark.parametrize(
    ("count", "examples", "validation"),
    [(1, 2, 1), (3, 10, 3), (9, 10, 9), (10, 10, None), (11, 10, None), (1, 1, None)],
)
def test_a_count_must_leave_an_example_for_training(count: int, examples: int, validation: int | None) -> None:
    source = SplitSource(split_of="file-1", part="training", count=count, seed=0)
    if validation is not None:
        assert source.validation_examples(examples) == validation
        return
    with pytest.raises(Invalid, match=f"has {examples} examples, so {count} for validation") as error:
        source.validation_examples(examples)
    assert error.value.param == "split.count"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("train.jsonl", "train.jsonl"),
        ("Größe 2.jsonl", "Größe 2.jsonl"),
        ("  a.jsonl ", "a.jsonl"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\train.jsonl", "train.jsonl"),
        ("/a/b\\c.jsonl", "c.jsonl"),
        ("a" * 255, "a" * 255),
        ("folder/", None),
        ("", None),
        (" ", None),
        ("a\0.jsonl", None),
        ("a\n.jsonl", None),
        ("a\u202e.jsonl", None),
        ("a" * 256, None),
    ],
)
def test_a_filename_is_a_printable_label_without_folders(name: str, label: str | None) -> None:
    if label is not None:
        assert clean_filename(name) == label
        return
    with pytest.raises(Invalid) as error:
        clean_filename(name)
    assert error.value.param == "file"
