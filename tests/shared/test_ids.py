"""Ids sort in the order in which they were made, and are unique."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from shared.db.ids import first_id, made_at, new_id


def test_an_id_is_its_prefix_and_26_url_safe_characters() -> None:
    assert re.fullmatch(r"ftjob-[0-9a-z]{26}", new_id("ftjob-"))


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [new_id("") for _ in range(50_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: [new_id("") for _ in range(2000)], range(16)))
    assert all(of_one == sorted(of_one) for of_one in made)
    assert len({id for of_one in made for id in of_one}) == 32_000


def test_an_id_cannot_be_guessed_from_the_time() -> None:
    first, second = new_id("")[:10], new_id("")[10:]
    assert len({new_id("")[10:16] for _ in range(100)} | {second}) > 1
    assert first.startswith("0")


def test_the_time_of_an_id_can_be_read_from_it() -> None:
    time = datetime(2026, 11, 22, 12, 0, 0, 123_000, UTC)
    assert made_at(first_id("ftevent-", time)) == time
    before, made, after = datetime.now(UTC), made_at(new_id("ftevent-")), datetime.now(UTC)
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= made <= after
