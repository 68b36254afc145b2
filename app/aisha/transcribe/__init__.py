"""Where the function of a job was: Redis and the other release's workers know it by this path."""
