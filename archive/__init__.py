"""The archive: pieces stored by content, records of runs, and a catalog made from both."""
