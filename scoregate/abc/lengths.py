"""Exact durations: integer ticks inside the reader, Fractions of a whole note outside.

A tick divides every duration that notation usually brings (down to 1/4096, tuplets of
up to 19) without a remainder, so nearly all arithmetic is on small ints. A duration that
doesn't fit stays exact all the same: it is then a Fraction of ticks.
"""

from __future__ import annotations

from fractions import Fraction

Ticks = int | Fraction
"""A duration in ticks; a Fraction only where an int can't hold it exactly."""

WHOLE: int = 2**12 * 3**4 * 5**2 * 7**2 * 11 * 13 * 17 * 19
"""Ticks of a whole note."""

MAX_DIGITS = 4
"""Longest number taken as part of a duration; more is a fault, and would cost time."""

_MOST_DIGITS = 1000
"""Longest number that is read of a text that need not be sound."""
_MOST_SLASHES = 1000


class _Wholes(dict):
    """Ticks -> the one Fraction of a whole note that stands for them."""

    def __missing__(self, ticks: Ticks) -> Fraction:
        if len(self) > 20_000:
            self.clear()
        value = self[ticks] = Fraction(ticks) / WHOLE
        return value


wholes = _Wholes()


def scale(ticks: Ticks, numerator: int, denominator: int) -> Ticks:
    """Return ``ticks * numerator / denominator``, as an int where it is one."""
    product = ticks * numerator
    if isinstance(product, int):
        quotient, rest = divmod(product, denominator)
        return quotient if not rest else Fraction(product, denominator)
    value = product / denominator
    return value.numerator if value.denominator == 1 else value


def length_in_units(text: str) -> Fraction:
    """Return a length as far as it can be read, in units of ``L:``.

    For conversion and training, which measure faulty text too; :func:`read_length` is for
    judging. A denominator may be any number, and one of 0 counts as not written; what stands
    behind it does not count.

    Examples
    --------
    >>> [str(length_in_units(text)) for text in ("", "3", "3/2", "/", "//", "/3", "2/0", "3/4/4")]
    ['1', '3', '3/2', '1/2', '1/4', '1/3', '1', '3/4']
    """
    number, slash, rest = text.partition("/")
    digits = rest.lstrip("/").partition("/")[0]
    value = Fraction(int(number[:_MOST_DIGITS]) if number else 1)
    if not slash:
        return value
    if digits and (below := int(digits[:_MOST_DIGITS])):
        return value / below
    return value / 2 ** (1 + min(rest.count("/"), _MOST_SLASHES))


def read_length(text: str) -> tuple[int, int] | None:
    """Return a length such as ``3/2``, ``/``, ``//``, ``/4`` as numerator and denominator.

    Examples
    --------
    >>> [read_length(text) for text in ("", "3", "3/2", "/", "//", "/4")]
    [(1, 1), (3, 1), (3, 2), (1, 2), (1, 4), (1, 4)]
    >>> [read_length(text) for text in ("0", "/3", "//4", "12345")]
    [None, None, None, None]

    Returns
    -------
    tuple of int, or None
        None where a number is 0 or has more than `MAX_DIGITS` digits, where ``//`` has a
        number behind, and where the denominator is no power of 2: no note has such a value.
    """
    if not text:
        return 1, 1
    number, slash, rest = text.partition("/")
    if len(number) > MAX_DIGITS or len(rest) > 12:
        return None
    numerator = int(number) if number else 1
    denominator = 1
    if slash:
        digits = rest.lstrip("/")
        slashes = 1 + len(rest) - len(digits)
        if digits:
            if len(digits) > MAX_DIGITS or slashes > 1:
                return None
            denominator = int(digits)
        else:
            denominator = 2**slashes
    if not numerator or not denominator or denominator & (denominator - 1):
        return None
    return numerator, denominator


def tuplet_ratio(p: int, q: int | None, compound: bool) -> tuple[int, int] | None:
    """Return the factor of a tuplet: `p` notes in the time of `q`, as ``(q, p)``.

    Parameters
    ----------
    p : int
        Notes of the tuplet.
    q : int or None
        Notes in whose time they sound; None for the standard's shorthand.
    compound : bool
        Whether the metre is compound (6/8, 9/8, 12/8), which decides 5, 7 and 9.

    Returns
    -------
    tuple of int, or None
        None for a tuplet without a meaning: p below 1, or p without q outside 2 to 9.

    Examples
    --------
    >>> tuplet_ratio(3, None, False), tuplet_ratio(5, None, False), tuplet_ratio(5, None, True)
    ((2, 3), (2, 5), (3, 5))
    >>> tuplet_ratio(13, 8, False), tuplet_ratio(13, None, False)
    ((8, 13), None)
    """
    if p < 1 or p > 99 or (q is not None and not 1 <= q <= 99):
        return None
    if q is None:
        if p < 2 or p > 9:
            return None
        q = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if compound else 2)
    return q, p
