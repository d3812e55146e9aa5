"""Writing ABC: lengths and rests."""

from __future__ import annotations

from fractions import Fraction


def length_text(units: Fraction, *, short: bool = False) -> str:
    """Return a length in unit notes as ABC writes it behind a note.

    Parameters
    ----------
    units : Fraction
        Length in units of ``L:``. Only lengths whose denominator is a power of 2 can be read
        back; see :func:`tuplet_of` for the others.
    short : bool
        Whether a half is written as ``/``, as in training text, rather than ``/2``.

    Examples
    --------
    >>> [length_text(Fraction(n, d)) for n, d in ((1, 1), (3, 1), (1, 2), (3, 2), (1, 4))]
    ['', '3', '/2', '3/2', '/4']
    >>> length_text(Fraction(1, 2), short=True)
    '/'
    """
    if units.denominator == 1:
        return "" if units == 1 else str(units.numerator)
    if short and units == Fraction(1, 2):
        return "/"
    top = "" if units.numerator == 1 else str(units.numerator)
    return f"{top}/{units.denominator}"


def tuplet_of(units: Fraction) -> tuple[int, int] | None:
    """Return the tuplet ``(p:q`` that a length needs; None where it needs none.

    A length in ABC has a power of 2 as its denominator. Any other length is written as
    part of a tuplet: a note of 8/3 units is ``(3:2:1C4``.

    Examples
    --------
    >>> tuplet_of(Fraction(8, 3)), tuplet_of(Fraction(3, 4)), tuplet_of(Fraction(2, 5))
    ((3, 2), None, (5, 4))
    """
    odd = units.denominator
    while odd % 2 == 0:
        odd //= 2
    if odd == 1:
        return None
    return odd, 1 << (odd.bit_length() - 1)


def rest_text(letter: str, units: Fraction) -> str:
    """Return a rest of any length.

    Parameters
    ----------
    letter : {'z', 'x'}
        A visible or an invisible rest.
    units : Fraction
        Length in units of ``L:``.

    Examples
    --------
    >>> rest_text("z", Fraction(8)), rest_text("x", Fraction(8, 3))
    ('z8', '(3:2:1x4')
    """
    tuplet = tuplet_of(units)
    if tuplet is None:
        return letter + length_text(units)
    p, q = tuplet
    return f"({p}:{q}:1{letter}{length_text(units * p / q)}"
