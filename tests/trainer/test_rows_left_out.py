"""Rows that teach nothing are left out of a job, whose log says so once; a job of nothing else fails."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.trainer.labelling import ANSWER, ASKED, answered, chat, pair
from tests.trainer.trainer_process import Trainer, chats

pytestmark = pytest.mark.timeout(600)
TERSE = (  # nothing for an empty answer, not even the end of a turn
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] if m['content'] else '' }}{% endfor %}"
)
UNTRAINED = chat(ASKED, ANSWER | {"weight": 0})
LEFT_OUT: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "an answer of weight 0, however long": (
        {"lines": [chat(ASKED, {"role": "assistant", "content": "x" * 99, "weight": 0}), chat(ASKED, ANSWER)]}
        | {"context": 60},
        1,
        [
            "1 of 2 examples in the training file teaches nothing and is left out: each answer has weight 0 or is "
            "empty (line 1)."
        ],
    ),
    "empty answers of a template that writes nothing for them": (
        {"lines": [chat(ASKED, ANSWER | {"content": ""}), chat(ASKED, ANSWER)], "template": TERSE},
        1,
        [
            "1 of 2 examples in the training file teaches nothing and is left out: each answer has weight 0 or is "
            "empty (line 1)."
        ],
    ),
    "answers that are cut off, and answers of weight 0": (
        {
            "lines": [UNTRAINED, chat(ASKED, ANSWER), *[chat(ASKED, ASKED, ASKED, ANSWER)] * 2, UNTRAINED],
            "max_length": 24,
        },
        1,
        [
            "4 of 5 examples in the training file teach nothing and are left out: each answer has weight 0 or is empty "
            "(lines 1, 5); nothing to learn is left within 24 tokens (lines 3, 4)."
        ],
    ),
    "very many": (
        {"lines": [*[UNTRAINED] * 23, chat(ASKED, ANSWER)]},
        1,
        [
            "23 of 24 examples in the training file teach nothing and are left out: each answer has weight 0 or is "
            f"empty (lines {', '.join(map(str, range(1, 21)))} and 3 more)."
        ],
    ),
    "pairs that are the same, also where they are cut, and such without an answer": (
        {
            "lines": [
                pair("Yes.", "No."),
                pair("No.", "No."),
                pair("x" * 90 + "Yes.", "x" * 90 + "No."),
                pair("Yes.", ""),
            ],
            "method": "dpo",
            "max_length": 25,
            "template": TERSE,
        },
        1,
        [
            "3 of 4 examples in the training file teach nothing and are left out: both answers are the same (line 2); "
            "nothing to learn is left within 25 tokens (line 3); an answer is empty (line 4)."
        ],
    ),
    "none": ({"lines": [chat(ASKED, ANSWER)]}, 1, []),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return dict(zip(LEFT_OUT, answered([case for case, *_ in LEFT_OUT.values()]), strict=True))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_leaves_out_what_teaches_nothing(name: str, answers: dict[str, Any]) -> None:
    _, kept, said = LEFT_OUT[name]
    assert (len(answers[name]["rows"]), answers[name]["left_out"]) == (kept, said)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with Trainer(tmp_path_factory.mktemp("trainer")) as trainer:
        yield trainer


def test_a_job_is_trained_on_the_others_and_warns_once_also_if_its_process_is_killed(trainer: Trainer) -> None:
    file = trainer.upload(UNTRAINED, *chats(8), UNTRAINED, UNTRAINED)
    validation = trainer.upload(*chats(2), chat({"role": "user", "content": "Why? " * 40}, ANSWER))
    job = trainer.job(training_file=file, validation_file=validation, epochs=20, options={"max_length": 60})
    trainer.wait_for_step(job, 3)
    trainer.kill_process_of(job)
    ended = trainer.wait_for_end(job)
    assert ended.status == "succeeded", trainer.messages(job)
    assert list(trainer.losses(job)) == list(range(1, 41))
    warnings = [event.message for event in trainer.events(job) if event.level == "warn"]
    assert warnings == [
        "3 of 11 examples in the training file teach nothing and are left out: each answer has weight 0 or is empty "
        "(lines 1, 10, 11).",
        "1 of 3 examples in the validation file teaches nothing and is left out: nothing to learn is left within 60 "
        "tokens (line 3).",
        "The training process ended with code -9 and is started again",
    ]


@pytest.mark.parametrize("kind", ["training_file", "validation_file"])
def test_a_file_that_teaches_nothing_at_all_fails_the_job(trainer: Trainer, kind: str) -> None:
    files: dict[str, Any] = {"training_file": trainer.upload(*chats(10))} | {kind: trainer.upload(*[UNTRAINED] * 10)}
    job = trainer.wait_for_end(trainer.job(**files))
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == (f"invalid_{kind}", kind)
    assert job.error.message == (
        f"No example in the {kind.replace('_', ' ')} teaches anything: each answer has weight 0 or is empty "
        "(lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10). Give answers a text, and weight 1."
    )
