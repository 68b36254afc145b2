"""Aisha turns Telegram voice messages into text, offline."""
