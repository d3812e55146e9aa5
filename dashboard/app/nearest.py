"""The known piece that a piece is nearest to, for a reader: what the novelty gate compares."""

from __future__ import annotations

from scoregate.abc.score import Score
from scoregate.validators.gates import novelty


def nearest_known(score: Score) -> list[str]:
    """Return a sentence for the longest passage and the longest tune shared with a known piece."""
    indices = novelty.known_pieces()
    found = []
    for kind, passage, words in (
        ("texture", novelty.texture(score), "all voices"),
        ("melody", novelty.melody(score), "the melody"),
    ):
        shared = novelty.longest_shared(score, passage, indices[kind])
        if shared.bars:
            found.append(
                f"{shared.source}: {words} the same for {shared.bars:.1f} bars "
                f"(bars {shared.first_bar} to {shared.last_bar} here)"
            )
    return found
