"""The second step: a message's file goes from Telegram to object storage, by its content."""
