"""Whether Telegram may still have updates with messages that are not in the inbox yet."""

from aiogram import Bot
from aiogram.exceptions import AiogramError

from aisha.database import leases, receiving
from aisha.database.connect import Pool
from aisha.settings import Mode

FEW = 20
"""How many unknown messages may lie between a known one and one in doubt: `deliver.doubt` looks that much further."""


async def caught_up(bot: Bot, pool: Pool, own: Mode) -> bool:
    """Return whether all messages but a few are in the inbox: as the polling bot recorded, or by Telegram's count."""
    async with pool.connection() as connection:
        mode = await connection.one(receiving.mode()) or own
        polled = await connection.one(leases.caught_up())
    if mode == "polling":
        return bool(polled)
    try:
        return (await bot.get_webhook_info()).pending_update_count < FEW
    except AiogramError:
        return False
