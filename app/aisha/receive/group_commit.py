"""Updates that arrive one by one, committed together."""

import asyncio
from typing import Any

import psycopg

from aisha.database.connect import Pool
from aisha.receive.inbox import commit

MOST = 100


class GroupCommit:
    """Commits updates that arrive at the same time in one transaction, so that they wait for the disk once.

    1. An update begins a transaction unless one is under way.
    2. Updates that arrive meanwhile form the next transaction.
    3. When the database refuses one update's content, each of its group is committed on its own.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def add(self, update: dict[str, Any]) -> None:
        """Return when the update is in the inbox.

        Raises:
            psycopg.Error, PoolTimeout: it is not; a `psycopg.DataError` says that it never can be.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((update, done))
        if not self._working or self._working.done():
            self._working = asyncio.create_task(self._work())
        await done

    async def _work(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                await self._commit(group)
            except psycopg.DataError:
                for one in group:
                    await self._commit_alone(one)

    async def _commit_alone(self, one: tuple[dict[str, Any], asyncio.Future[None]]) -> None:
        try:
            await self._commit([one])
        except psycopg.DataError as error:
            _settle([one], error)

    async def _commit(self, group: list[tuple[dict[str, Any], asyncio.Future[None]]]) -> None:
        """Commit a group and settle its futures; only a `psycopg.DataError` is raised instead."""
        try:
            await commit(self._pool, [update for update, _ in group], source="webhook")
        except psycopg.DataError:
            raise
        except Exception as error:
            _settle(group, error)
        else:
            _settle(group, None)


def _settle(group: list[tuple[dict[str, Any], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in group:
        if done.done():
            continue
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)
