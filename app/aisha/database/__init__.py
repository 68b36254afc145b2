"""The PostgreSQL schema, its migrations and the connections to it."""
