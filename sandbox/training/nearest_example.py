"""Answers a question with the reply of the most similar training example, since the sandbox trains no model."""

import math
import re
from collections import Counter
from functools import lru_cache

from wire_server.training_file import Example

Vector = dict[str, float]


def nearest_reply(memory: tuple[Example, ...], question: str) -> str:
    """The reply of the example whose question has the highest cosine similarity (words weighted by rarity).

    Of equally similar examples the first one wins; without examples the reply is empty.
    """
    if not memory:
        return ""
    rarity, vectors = _index(memory)
    asked = _vector(question, rarity)
    best = max(range(len(memory)), key=lambda position: _cosine(asked, vectors[position]))
    return memory[best].reply


@lru_cache(maxsize=32)
def _index(memory: tuple[Example, ...]) -> tuple[Vector, list[Vector]]:
    documents = Counter(word for example in memory for word in set(words(example.question)))
    rarity = {word: math.log(1 + len(memory) / found) for word, found in documents.items()}
    return rarity, [_vector(example.question, rarity) for example in memory]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _vector(text: str, rarity: Vector) -> Vector:
    return {word: times * rarity.get(word, 0.0) for word, times in Counter(words(text)).items()}


def _cosine(one: Vector, other: Vector) -> float:
    shared = sum(weight * other.get(word, 0.0) for word, weight in one.items())
    return shared / (math.hypot(*one.values()) * math.hypot(*other.values())) if shared else 0.0
