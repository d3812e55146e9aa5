"""Generating with whatever generator a request names, judged line by line, in many processes."""
