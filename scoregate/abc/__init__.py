"""The parts of the ABC reader; :mod:`scoregate.abc.reader` puts them together."""
