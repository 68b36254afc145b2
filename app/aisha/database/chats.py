"""The table `chats`: what is remembered of a chat."""

from aisha.database.statement import Statement


def language(chat_id: int) -> Statement[str | None]:
    """Select the language of speech that was chosen in a chat, if one was."""
    sql = "SELECT language FROM chats WHERE chat_id = %(chat_id)s"
    return Statement(sql, {"chat_id": chat_id})


def choose(chat_id: int, language: str) -> Statement[None]:
    """Remember the language of speech."""
    return Statement(
        """
        INSERT INTO chats (chat_id, language) VALUES (%(chat_id)s, %(language)s)
        ON CONFLICT (chat_id) DO UPDATE SET language = excluded.language
        """,
        {"chat_id": chat_id, "language": language},
    )


def take_language(chat_id: int, former: int) -> Statement[None]:
    """Copy the chosen language of a group to the supergroup that it has become."""
    return Statement(
        """
        INSERT INTO chats (chat_id, language) SELECT %(chat_id)s, language FROM chats WHERE chat_id = %(former)s
        ON CONFLICT DO NOTHING
        """,
        {"chat_id": chat_id, "former": former},
    )


def be_quiet(chat_id: int, seconds: float) -> Statement[None]:
    """Send nothing to a chat for `seconds`."""
    return Statement(
        """
        INSERT INTO chats (chat_id, quiet_until) VALUES (%(chat_id)s, now() + make_interval(secs => %(seconds)s))
        ON CONFLICT (chat_id) DO UPDATE SET quiet_until = excluded.quiet_until
        """,
        {"chat_id": chat_id, "seconds": seconds},
    )


def forget(chat_id: int) -> Statement[None]:
    """Delete what is remembered of a chat."""
    return Statement("DELETE FROM chats WHERE chat_id = %(chat_id)s", {"chat_id": chat_id})
