"""Whose file is fetched next: users take turns, and small files have slots that no large one may take."""

from collections.abc import Collection, Iterable

from aisha.database.messages import Due

SLOTS = 12
LARGE_SLOTS = 4


def choose(due: Iterable[Due], busy: Collection[Due]) -> list[Due]:
    """Return which of the due files to fetch now, beside the busy ones.

    A user gets another slot only while more than twice as many are free as this user has, for files of either kind. So
    one user takes a third of the slots at most, however many files and however slowly they come, the next user a third
    of the others, and so on.
    """
    chosen: list[Due] = []
    for one in due:
        taken = [*busy, *chosen]
        alike = [other for other in taken if other.small == one.small]
        free = SLOTS - len(taken)
        if not one.small:
            free = min(free, LARGE_SLOTS - len(alike))
        if 2 * sum(other.user_id == one.user_id for other in alike) < free:
            chosen.append(one)
    return chosen
