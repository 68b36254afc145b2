"""A Bot API server for one machine, with a web chat in front of it."""
