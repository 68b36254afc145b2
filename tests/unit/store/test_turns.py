"""Whose file is fetched next."""

import pytest

from aisha.database.messages import Due
from aisha.store.turns import LARGE_SLOTS, SLOTS, choose


def files(user: int, count: int, *, small: bool) -> list[Due]:
    return [Due(1000 * user + number, user, small) for number in range(count)]


def users(chosen: list[Due]) -> set[int]:
    return {one.user_id for one in chosen}


@pytest.mark.parametrize("small", [True, False])
def test_one_user_with_many_files_leaves_slots_for_the_next(small: bool) -> None:
    busy = choose(files(1, 48, small=small), [])
    assert 1 <= len(busy) < (SLOTS if small else LARGE_SLOTS)
    assert choose([*files(1, 48, small=small), *files(2, 1, small=small)], busy)[-1].user_id == 2


def test_four_users_with_many_files_each_leave_a_slot_for_the_fifth() -> None:
    busy: list[Due] = []
    for user in range(1, 5):
        busy += choose(files(user, 48, small=True), busy)
    assert users(busy) == {1, 2, 3, 4}
    assert users(choose(files(5, 1, small=True), busy)) == {5}


def test_large_files_of_any_number_of_users_never_take_the_small_ones_slots() -> None:
    busy: list[Due] = []
    for user in range(1, 100):
        busy += choose(files(user, 10, small=False), busy)
    assert len(busy) <= LARGE_SLOTS
    assert len(choose([one for user in range(200, 220) for one in files(user, 1, small=True)], busy)) == (
        SLOTS - len(busy)
    )


def test_nothing_is_chosen_twice_and_no_more_than_there_are_slots() -> None:
    due = [one for user in range(50) for one in files(user, 2, small=user % 2 == 0)]
    chosen = choose(due, [])
    assert len(set(chosen)) == len(chosen) <= SLOTS
