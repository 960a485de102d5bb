"""One request while it is answered: its tokens, its text, and where its lines go."""

from collections.abc import Callable
from typing import Any

import torch

from trainer.serving.request import Refused, Request
from trainer.serving.sampling import Sampler, Spelling
from trainer.serving.text import Text

Line = dict[str, Any]


class Row:
    """`deliver` is called from the engine's thread, with each line; `cancelled` may be set from any."""

    def __init__(self, request: Request, prompt: list[int], max_tokens: int, deliver: Callable[[Line], object]):
        self.request = request
        self.prompt = prompt
        self.max_tokens = max_tokens
        self.deliver = deliver
        self.adapter = ""  # its name in the model, once that is loaded
        self.completion: list[int] = []
        self.is_done = False
        self.cancelled = False
        self._sampler = Sampler(request)
        self._text: Text | None = None

    @property
    def in_cache(self) -> int:
        """Tokens whose keys and values are known, once the prompt was read: the newest token has none yet."""
        return len(self.prompt) + len(self.completion) - 1

    @property
    def most(self) -> int:
        """Tokens, if the answer becomes as long as it may."""
        return len(self.prompt) + self.max_tokens

    def take(self, logits: torch.Tensor, spelling: Spelling, ends: set[int]) -> None:
        """One token further."""
        if bool(torch.isnan(logits).any()):
            sentence = "The model computes no numbers (NaN): the weights of the base or of the adapter are broken."
            self.fail(500, "model_broken", sentence)
            return
        token = self._sampler.choose(logits)
        if token in ends:
            self._finish("stop")
            return
        self.completion.append(token)
        alternatives = self.request.logprobs
        text = self._text = self._text or Text(spelling.decode, self.request.stop)
        self._say(*text.add(token, None if alternatives is None else spelling.entry(logits, token, alternatives)))
        if text.stopped:
            self._end("stop")
        elif len(self.completion) >= self.max_tokens:
            self._finish("length")

    def refuse(self, refused: Refused) -> None:
        self.is_done = True
        self.deliver(refused.line)

    def fail(self, status: int, code: str, message: str) -> None:
        self.refuse(Refused(code, message, status=status))

    def _finish(self, reason: str) -> None:
        if self._text:
            self._say(*self._text.finish())
        self._end(reason)

    def _say(self, text: str, logprobs: list[Line]) -> None:
        if text or logprobs:
            self.deliver({"text": text, "logprobs": None if self.request.logprobs is None else logprobs})

    def _end(self, reason: str) -> None:
        self.is_done = True
        counts = {"prompt_tokens": len(self.prompt), "completion_tokens": len(self.completion)}
        self.deliver({"end": reason, **counts})
