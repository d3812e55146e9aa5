"""The parts of the ABC reader; :mod:`validators.reader` puts them together."""
