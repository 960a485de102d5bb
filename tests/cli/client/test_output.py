"""What the client's commands print: short times and sizes, and no line of more than 100 columns."""

from datetime import UTC, datetime

import pytest

from cli.client import output
from cli.client.output import duration, money, short_time, shortened, size


def test_the_time_of_this_year_has_its_minute_and_an_older_one_its_year() -> None:
    now = datetime.now().astimezone()
    assert short_time(int(now.timestamp())) == f"{now:%d %b %H:%M}"
    assert short_time(int(datetime(2021, 5, 4, 12, tzinfo=UTC).timestamp())) == "04 May 2021"
    assert short_time(None) == "–"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (size(999), "999 B"),
        (size(23_202), "23.2 kB"),
        (size(8 << 30), "8.6 GB"),
        (duration(119), "119 s"),
        (duration(300), "5 min"),
        (duration(3 * 3600 + 61), "3 h 1 min"),
        (money("0.040518", "USD"), "0.0405 USD"),
        (money("1234.5", "USD"), "1,234.50 USD"),
        (shortened("abcdef", 4), "abc…"),
    ],
)
def test_amounts_are_short(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_long_value_goes_on_under_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_fields([("error", "word " * 40), ("nothing", None), ("model", "m\x1b[2J")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= output.WIDTH
    assert [line[:7] for line in lines] == ["error  ", "       ", "       ", "model  "]
    assert "\x1b" not in lines[-1]
