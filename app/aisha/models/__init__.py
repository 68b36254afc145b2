"""Speech models: which exist, which are installed, and how one is fetched."""
