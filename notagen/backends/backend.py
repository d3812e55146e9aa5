"""What the engine's arithmetic raises."""

from __future__ import annotations

from collections.abc import Sequence

from scoregate.errors import GenerationError


class NotFiniteError(GenerationError):
    """Some rows' logits are NaN or infinite: their pieces can't go on.

    Parameters
    ----------
    rows : sequence of int
        Which of the rows of the step.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__(
            "The model gave logits that are not finite.",
            "The weights are damaged or their numbers too large: see `scoregate weights check`, "
            "and take precision='fp32' if it was another.",
        )
        self.rows = list(rows)

    def __reduce__(self) -> tuple:
        return (type(self), (self.rows,))
