"""The review dashboard: look at pieces, listen to them, decide."""
