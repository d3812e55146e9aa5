"""Scores in other formats as ABC."""
