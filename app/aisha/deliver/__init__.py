"""The last step: what the user reads is written to the outbox, then sent exactly once."""
