"""Scoregate: a production line for scores that a model writes.

This package holds only what every room of the project shares: the version and the
tree of errors. The rooms are :mod:`notagen`, :mod:`validators`, :mod:`archive`,
:mod:`dashboard`, :mod:`tasks` and :mod:`flows`.
"""

__version__ = "0.1.0"
