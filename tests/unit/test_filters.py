"""What chooses a handler runs in the event loop: no update waits for a thread that something else may hold."""

from aisha.bot import dispatcher
from aisha.settings import Settings


def test_no_filter_needs_a_thread() -> None:
    filters = [
        condition
        for router in dispatcher(Settings()).chain_tail
        for observer in router.observers.values()
        for handler in observer.handlers
        for condition in handler.filters or ()
    ]
    assert len(filters) > 5
    assert all(condition.awaitable for condition in filters)
