"""Finds the rows in an object that is a whole table: under a key, by column, or by index, as pandas writes them."""

from collections.abc import Iterable, Sequence
from typing import Any

from cli.datasets.conversion.names import CONVERSATION, IN_EXAMPLES, is_conversation, names_an_example, plain
from cli.datasets.conversion.rows import FileProblem, Options, SourceNotes, is_empty


def rows_of_document(value: Any, options: Options, notes: SourceNotes, line: int) -> Iterable[Any] | None:
    """The rows in an object; None if it is a row itself. Raises `FileProblem` where two lists could be the rows."""
    if not isinstance(value, dict) or not value:
        return None
    if options.rows is not None:
        return _chosen(value, options.rows, notes, line)
    found = _split_columns(value) or _columns(value) or _indexed(value)
    if found is not None:
        notes.layout = "JSON by column" if found is not value else "JSON"
        return found
    return None if names_an_example(value) else _only_list(value, options, notes, line)


def _chosen(value: dict[str, Any], name: str, notes: SourceNotes, line: int) -> Iterable[Any]:
    for key, rows in value.items():
        if plain(key) == name and isinstance(rows, list | dict):
            notes.layout = f"JSON with the rows under `{key}`"
            notes.outside_rows.update(other for other in value if other != key and not is_empty(value[other]))
            return rows if isinstance(rows, list) else list(rows.values())
    names = ", ".join(f"`{key[:40]}`" for key in list(value)[:8])
    raise FileProblem(line, f"--rows {name}: there are no rows of this name; the names are: {names}")


def _only_list(value: dict[str, Any], options: Options, notes: SourceNotes, line: int) -> Iterable[Any] | None:
    lists = [key for key, inner in value.items() if _is_list_of_rows(inner)]
    if len(lists) > 1:
        names = " and ".join(f"`{key}`" for key in lists[:8])
        raise FileProblem(line, f"{names} both hold rows. Say which to read: --rows {lists[0]}")
    if lists:
        return _chosen(value, plain(lists[0]), notes, line)
    if len(value) == 1:
        return rows_of_document(next(iter(value.values())), options, notes, line)
    return None


def _is_list_of_rows(value: Any) -> bool:
    is_list = isinstance(value, list) and bool(value) and not is_conversation(value)
    return is_list and (all(map(names_an_example, value)) or all(map(is_conversation, value)))


def _columns(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of `{"prompt": ["a", "b"], …}` and of pandas' `{"prompt": {"0": "a", "1": "b"}, …}`."""
    known = [key for key in value if plain(key) in IN_EXAMPLES]
    if not known:
        return None
    if all(isinstance(column, dict) and _are_indexes(column) for column in value.values()):
        indexes = list(value[known[0]])
        return [{key: column.get(index) for key, column in value.items()} for index in indexes]
    if not all(isinstance(column, list) and column for column in value.values()):
        return None
    is_table = len({len(column) for column in value.values()}) == 1 and all(
        _is_column(key, value[key]) for key in known
    )
    return _transposed(list(value), zip(*value.values(), strict=True)) if is_table else None


def _is_column(key: str, values: Sequence[Any]) -> bool:
    if plain(key) in CONVERSATION:
        return all(map(is_conversation, values))
    return all(isinstance(each, str) for each in values) or all(map(is_conversation, values))


def _split_columns(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of pandas' `{"columns": ["prompt", …], "data": [["a", …], …]}`."""
    columns, data = value.get("columns"), value.get("data")
    if not isinstance(columns, list) or not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        return None
    if not all(len(row) == len(columns) for row in data):
        return None
    return _transposed([str(name) for name in columns], data)


def _transposed(names: list[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _indexed(value: dict[str, Any]) -> list[Any] | None:
    """Rows of pandas' `{"0": {"prompt": "a", …}, "1": …}`. Other keys than numbers are names and would be lost."""
    if not _are_indexes(value) or not all(map(names_an_example, value.values())):
        return None
    return list(value.values())


def _are_indexes(value: dict[str, Any]) -> bool:
    return bool(value) and all(key.isdigit() for key in value)
