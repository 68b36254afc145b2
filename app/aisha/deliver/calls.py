"""The two calls that show an outbox row."""

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters

from aisha import metrics
from aisha.database.outbox import Outgoing

NO_LINK_PREVIEW = LinkPreviewOptions(is_disabled=True)


async def send(bot: Bot, row: Outgoing) -> int:
    """Send a row as a new message and return its id.

    Raises:
        TelegramAPIError: as Telegram says; after a network error the message may have been sent.
    """
    reply_to = row.reply_to
    reply = ReplyParameters(message_id=reply_to, allow_sending_without_reply=True) if reply_to else None
    message = await bot.send_message(
        row.chat_id,
        row.text,
        parse_mode=None,
        reply_markup=_markup(row),
        link_preview_options=NO_LINK_PREVIEW,
        reply_parameters=reply,
        message_thread_id=row.thread_id,
    )
    metrics.SENT.labels("send").inc()
    return message.message_id


async def edit(bot: Bot, row: Outgoing, message_id: int) -> None:
    """Edit one of the bot's messages to show a row; one that shows it already is no error.

    Raises:
        TelegramBadRequest: the bot has no such message.
        TelegramAPIError: as Telegram says.
    """
    try:
        await bot.edit_message_text(
            row.text,
            chat_id=row.chat_id,
            message_id=message_id,
            parse_mode=None,
            reply_markup=_markup(row),
            link_preview_options=NO_LINK_PREVIEW,
        )
    except TelegramBadRequest as error:
        if "not modified" not in error.message:
            raise
    metrics.SENT.labels("edit").inc()


def _markup(row: Outgoing) -> InlineKeyboardMarkup | None:
    return InlineKeyboardMarkup.model_validate(row.markup) if row.markup else None
