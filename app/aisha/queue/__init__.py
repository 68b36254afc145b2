"""The third step: jobs go from PostgreSQL, where they live, to Redis, which carries them."""
