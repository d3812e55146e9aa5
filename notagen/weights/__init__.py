"""Weight files: where they lie, how they are fetched, read and written."""
