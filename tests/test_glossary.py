"""docs/glossary.md names every table and column, with the prefix of its ids, and nothing that no longer exists."""

import re
from pathlib import Path

from sqlmodel import SQLModel

import shared.database  # noqa: F401  imports every table
from shared.db.tables import Table

PAGE = (Path(__file__).parent.parent / "docs" / "glossary.md").read_text()
TABLES = {table.name: [column.name for column in table.columns] for table in SQLModel.metadata.sorted_tables}
HEADING = re.compile(r"^### `(\w+)`(?: – `([a-z_-]+)`)?$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
COMMON = ROW.findall(PAGE.partition("## Columns that many tables have")[2].partition("\n## ")[0])


def sections() -> dict[str, list[str]]:
    """The columns that the page names, by table."""
    parts = HEADING.split(PAGE)[1:]
    return {name: ROW.findall(text) for name, _, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}


def test_every_table_has_a_heading() -> None:
    missing = [
        f"add to docs/glossary.md, under its subject: ### `{name}`" for name in sorted(TABLES) if name not in sections()
    ]
    assert missing == []


def test_every_column_has_a_row() -> None:
    missing = [
        f"add to docs/glossary.md, under ### `{table}`: | `{column}` | what it holds |"
        for table, columns in TABLES.items()
        for column in columns
        if column not in COMMON and column not in sections().get(table, [])
    ]
    assert missing == []


def test_no_heading_and_no_row_names_what_is_not_there() -> None:
    gone = [f"remove from docs/glossary.md: ### `{name}`" for name in sections() if name not in TABLES]
    gone += [
        f"remove from docs/glossary.md, under ### `{table}`: the row `{column}`"
        for table, columns in sections().items()
        for column in columns
        if column not in TABLES.get(table, [])
    ]
    gone += [
        f"remove from the columns that many tables have: `{column}`"
        for column in COMMON
        if sum(column in columns for columns in TABLES.values()) < 2
    ]
    assert gone == []


def test_each_heading_has_the_prefix_of_the_ids() -> None:
    told = {name: prefix for name, prefix in HEADING.findall(PAGE) if prefix}
    assert told == {
        str(model.__tablename__): model.id_prefix for model in _models(Table) if hasattr(model, "__table__")
    }


def _models(model: type[Table]) -> set[type[Table]]:
    below = [_models(each) for each in model.__subclasses__()]
    return {model}.union(*below)


def test_the_words_are_sorted_and_none_is_there_twice() -> None:
    words = re.findall(r"^\| ([a-z][^|`]*) \|", PAGE.partition("## Words")[2].partition("\n## ")[0], re.MULTILINE)[1:]
    assert words == sorted(set(words))
    assert len(words) > 50
