"""The gates of the project, one module each; every module ends in ``GATE = ...``.

:mod:`scoregate.validators.registry` loads them when they are first needed. A gate takes a
`Score` and returns an `Outcome`; no gate knows another.
"""

__all__: list[str] = []  # its modules are the face of this package
