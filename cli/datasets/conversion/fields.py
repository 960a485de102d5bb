"""A row's fields by their plain names, with a record of what the example uses and what it loses."""

from collections.abc import Iterable
from typing import Any

from cli.datasets.conversion.names import ANSWER, CONTEXT, QUESTION, SYSTEM, plain
from cli.datasets.conversion.rows import Options, RowProblem, is_empty, kind

_TEXTS = frozenset((*QUESTION, *ANSWER, *CONTEXT, *SYSTEM, "text"))


class Fields:
    """The fields of a row that are not empty. What nothing takes is lost, and `lost` names it."""

    def __init__(self, row: dict[str, Any], options: Options) -> None:
        self.options = options
        self.names: dict[str, str] = {}
        self.is_trimmed = False
        self.dropped: list[str] = []
        self._values: dict[str, Any] = {}
        self._used: set[str] = set()
        self._lost_inside: dict[str, None] = {}
        for name, value in row.items():
            key = plain(name)
            if key in options.drop:
                self.dropped += [key] if not is_empty(value) else []
                continue
            key = options.rename.get(key, key)
            if key in self._values and not is_empty(value):
                both = f"`{self.names[key][:40]}` and `{name[:40]}`"
                raise RowProblem(f"{both} are both the name `{key}`. Keep one of them in the file")
            if key not in self._values:
                self.names[key] = name
            if not is_empty(value):
                self._values[key] = value

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose fields have a value."""
        return [name for name in names if name in self._values]

    def take(self, name: str) -> Any:
        """The value of a field, which from now on counts as used; None if it has none."""
        self._used.add(name)
        return self._values.get(name)

    def look(self, name: str) -> Any:
        """The value of a field, without using it."""
        return self._values.get(name)

    def take_only(self, names: Iterable[str], what: str) -> str | None:
        """Which of the names has a value; None if none has. Raises `RowProblem` where several have different ones."""
        found = self.present(names)
        if len({repr(self._values[name]) for name in found}) > 1:
            raise RowProblem(self.ambiguous(found, what))
        self._used.update(found)
        return found[0] if found else None

    def ambiguous(self, names: Iterable[str], what: str) -> str:
        shown = [self.names[name][:40] for name in names]
        listed = " and ".join(f"`{name}`" for name in shown)
        drop = shown[-1] if " " not in shown[-1] else f'"{shown[-1]}"'
        return f"{listed} could each be {what}. Choose one: leave the others out, for example with --drop {drop}"

    def text(self, name: str) -> str:
        """The value of a field that must be a text."""
        value = self.take(name)
        if not isinstance(value, str):
            raise RowProblem(f"`{self.names[name]}` is no text but {kind(value)}. Write it as a text")
        return value

    def lose(self, path: str) -> None:
        """Note that something inside a field has no place in the example."""
        self._lost_inside[path] = None

    def keep_the_rest(self) -> dict[str, Any]:
        """What nothing has taken, under its own names."""
        rest = {self.names[name]: value for name, value in self._values.items() if name not in self._used}
        self._used.update(self._values)
        return rest

    def lost(self, texts_of_example: set[str]) -> list[str]:
        """The names of what the example does not hold. A text that it repeats word for word is not lost."""
        left = [name for name in self._values if name not in self._used]
        repeats = [
            name
            for name in left
            if name in _TEXTS and isinstance(self._values[name], str) and self._values[name].strip() in texts_of_example
        ]
        return [self.names[name] for name in left if name not in repeats] + list(self._lost_inside)

    def shown(self) -> str:
        """The names of all fields, for a sentence."""
        return ", ".join(f"`{name[:40]}`" for name in list(self.names.values())[:8]) or "none"
