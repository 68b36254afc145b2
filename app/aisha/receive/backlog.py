"""Whether what Telegram still has for us can hold messages that are not known here yet."""

from aiogram import Bot
from aiogram.exceptions import AiogramError

from aisha.database.connect import Pool
from aisha.receive.mode import recorded
from aisha.settings import Mode

FEW = 20
"""So many unknown messages may lie between a known one and one in doubt: `deliver.doubt` looks that much further."""

POLLED = "SELECT caught_up FROM leases WHERE name = 'poll' AND expires > clock_timestamp()"


async def caught_up(bot: Bot, pool: Pool, own: Mode) -> bool:
    """Return whether every message but a few is in the inbox: by the polling bot's word, or by Telegram's count."""
    async with pool.connection() as connection:
        mode = await recorded(connection) or own
        row = await (await connection.execute(POLLED)).fetchone()
    if mode == "polling":
        return bool(row and row["caught_up"])
    try:
        return (await bot.get_webhook_info()).pending_update_count < FEW
    except AiogramError:
        return False
