"""Which token comes next, and how likely it and its rivals were."""

import random
import re
from typing import Any

import torch

from trainer.serving.request import Request

GREEDY_BELOW = 1e-4  # dividing by less would leave the range of numbers
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Sampler:
    """Chooses the tokens of one answer. The same seed gives the same answer, whoever shares the batch."""

    def __init__(self, request: Request):
        self._temperature = request.temperature
        self._top_p = request.top_p
        self._random = random.Random(request.seed)

    def choose(self, logits: torch.Tensor) -> int:
        """`logits` are one row, float32."""
        if self._temperature < GREEDY_BELOW:
            return int(logits.argmax())
        chances = torch.softmax(logits / self._temperature, -1)
        if self._top_p < 1:
            falling = chances.sort(descending=True).values
            kept = int((falling.cumsum(-1) - falling < self._top_p).sum())
            chances = torch.where(chances >= falling[max(kept, 1) - 1], chances, 0)
        # In the order of the vocabulary, not of the chances: two that are as good as equal would change places when the
        # last digits of a larger batch differ, and the seed would choose the other.
        sums = chances.double().cumsum(-1)
        at = torch.searchsorted(sums, self._random.random() * float(sums[-1]), right=True)
        return min(int(at), len(sums) - 1)


class Spelling:
    """What single tokens look like: their text, and their bytes, which may be a part of a character."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        decoder = str(getattr(tokenizer.backend_tokenizer, "decoder", ""))
        self._bytes_of_characters = _byte_level_alphabet() if "ByteLevel" in decoder else {}

    def decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def entry(self, logits: torch.Tensor, token: int, alternatives: int) -> dict[str, Any]:
        """A log probability as OpenAI's wire has it, from the model's own distribution: temperature changes nothing."""
        logarithms = torch.log_softmax(logits, -1)
        best = torch.topk(logarithms, alternatives)
        top = [self._one(*one) for one in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
        return {**self._one(token, float(logarithms[token])), "top_logprobs": top}

    def _one(self, token: int, logprob: float) -> dict[str, Any]:
        spelled = self._bytes(token)
        try:
            text = spelled.decode()
        except UnicodeDecodeError:
            text = "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(spelled)}

    def _bytes(self, token: int) -> bytes:
        piece = self._tokenizer.convert_ids_to_tokens(token) or ""
        if match := _BYTE.fullmatch(piece):
            return bytes([int(match[1], 16)])
        if piece and all(character in self._bytes_of_characters for character in piece):
            return bytes(self._bytes_of_characters[character] for character in piece)
        if piece.startswith("\u2581"):  # SentencePiece's blank, which decoding a lone token leaves out
            return piece.replace("\u2581", " ").encode()
        return str(self._tokenizer.decode([token])).encode()


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's: printable bytes are themselves, the others are the characters from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
