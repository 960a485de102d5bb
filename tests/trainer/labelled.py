"""Answers what is learnt of examples: `python -m tests.trainer.labelled BASE`, in the trainer's environment.

Takes a JSON list of cases on stdin: {"lines": [examples], "template": null | text, "method", "context", "max_length"}.
Gives a list of {"failed": sentence, "code"} or
{"rows": [{"text", "learnt", "prompt", "chosen", "rejected"}], "left_out": [sentences]}.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from trainer.job import model
from trainer.job.failures import Failed
from trainer.job.rows import files
from trainer.job.rows.files import Limits, Pair
from trainer.job.rows.labels import NOT_LEARNT, Conversations


def answer(case: dict[str, Any], tokenizer: Any, ends: set[int], folder: Path) -> dict[str, Any]:
    if "template" in case:
        tokenizer.chat_template = case["template"]
    path = folder / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in case["lines"]))
    read: Any = files.pairs if case.get("method") == "dpo" else files.conversations
    limits = Limits(case.get("context", 512), case.get("max_length"))
    try:
        found = read(path, Conversations(tokenizer, ends), limits, "training_file")
    except Failed as failure:
        return {"failed": failure.message, "code": failure.code, "param": failure.param}
    return {"rows": [_told(row, tokenizer) for row in found.rows], "left_out": found.left_out}


def _told(row: Any, tokenizer: Any) -> dict[str, Any]:
    if isinstance(row, Pair):
        return {name: tokenizer.decode(getattr(row, name)) for name in ("prompt", "chosen", "rejected")}
    pieces: list[list[int]] = []
    for token, label, before in zip(row.tokens, row.labels, [NOT_LEARNT, *row.labels], strict=False):
        assert label in (NOT_LEARNT, token)
        if label != NOT_LEARNT:
            if before == NOT_LEARNT:
                pieces.append([])
            pieces[-1].append(token)
    return {"text": tokenizer.decode(row.tokens), "learnt": [tokenizer.decode(piece) for piece in pieces]}


def main() -> None:
    cases, base = json.load(sys.stdin), Path(sys.argv[1])
    tokenizer, ends = model.tokenizer_of(base)
    usual, answers = tokenizer.chat_template, []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            tokenizer.chat_template = usual
            answers.append(answer(case, tokenizer, ends, Path(folder)))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
