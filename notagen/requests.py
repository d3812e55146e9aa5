"""What is asked for in one call of ``generate``: prompts, seeds and forced text, checked."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable

from scoregate.errors import RequestError
from scoregate.form import is_form
from scoregate.notagen.draft import MAX_CHARACTERS, Draft, Rules
from scoregate.notagen.text.forced import ForcedAs, read_forced_text
from scoregate.notagen.text.patches import encode
from scoregate.notagen.text.styles import PROMPT_END
from scoregate.sampling import random_stream
from scoregate.styles import Style, parse, untrained
from scoregate.transliteration import to_ascii


class PieceRequest:
    """One piece that has been asked for.

    Parameters
    ----------
    prompt : str, Style or None
        See :meth:`scoregate.notagen.engine.Engine.generate`.
    seed : int
    prefix : str or None
        Forced text: see :mod:`scoregate.notagen.text.forced`.
    prefix_as : {'opening', 'voice'}

    Attributes
    ----------
    prompt : str
        Prompt lines, each with its newline; empty for None.
    forced : ForcedText
    notes : list of str
        Remarks for the user.

    Raises
    ------
    RequestError
        A wrong prompt or forced text.
    """

    def __init__(
        self,
        prompt: str | Style | None,
        seed: int,
        prefix: str | None,
        prefix_as: ForcedAs = "opening",
    ) -> None:
        self.seed = seed
        self.notes: list[str] = []
        self.prompt = self._read_prompt(prompt)
        if prefix is not None:
            if not isinstance(prefix, str):
                raise RequestError(
                    f"{prefix!r:.80} is not a text to force.",
                    "Give a text for each piece, or None.",
                )
            prefix = self._plain(prefix, "The forced text")
        open_prompt = bool(self.prompt) and not self.prompt.endswith(PROMPT_END)
        self.forced = read_forced_text(prefix, prompted=open_prompt, forced_as=prefix_as)

    def _read_prompt(self, prompt: str | Style | None) -> str:
        if prompt is None:
            return ""
        if not isinstance(prompt, (str, Style)):
            raise RequestError(
                f"{prompt!r:.80} is not a prompt.",
                "Give a style, prompt lines such as '%Baroque', or None for no prompt.",
            )
        text = prompt.prompt if isinstance(prompt, Style) else prompt
        plain = self._plain(text, "The prompt")
        if plain.strip() and not plain.lstrip().startswith("%"):
            plain = parse(plain).prompt
        lines = [line.strip() for line in plain.split("\n")]
        lines = [line for line in lines if line.strip("%")]
        for line in lines:
            if not line.startswith("%") or line.startswith("%%"):
                raise RequestError(
                    f"The prompt has the line {line!r:.80}; prompt lines begin with one %.",
                    "Header fields and bars are given as `prefix`.",
                )
        if not lines:
            problem = "is empty" if not text.strip("% \r\n\t") else f"{text!r:.80} leaves no ASCII"
            raise RequestError(
                f"The prompt {problem}.",
                "Name a style, or pass None for weights that take no prompt.",
            )
        return "".join(line + "\n" for line in lines)

    def _plain(self, text: str, what: str) -> str:
        plain = to_ascii(text)
        if not text.isascii():
            self.notes.append(f"{what} was transliterated to ASCII: {plain.strip()!r}")
        elif any(not char.isprintable() and char not in "\t\r\n" for char in text):
            self.notes.append(f"{what} held control codes, which were left out.")
        return plain

    def check_room(self, context: int) -> None:
        """Refuse a request that leaves no room for music.

        Parameters
        ----------
        context : int
            Patches that the model can attend to.

        Raises
        ------
        RequestError
        """
        given = self.prompt + self.forced.header + "".join(self.forced.fields)
        patches = len(encode(given))
        if patches >= context:
            raise RequestError(
                f"Prompt and forced header take {patches} patches of the {context} that the model "
                "can attend to, and the music has no room.",
                "Shorten them.",
            )
        if len(given) + sum(map(len, self.forced.bars)) > MAX_CHARACTERS:
            raise RequestError(
                f"The forced text is longer than {MAX_CHARACTERS:,} characters, which no piece "
                "may be.",
                "Take its last bars.",
            )

    def check_style(self, trained: Collection[Style], allow_untrained: bool) -> None:
        """Refuse a prompt that the weights were not trained on, or note it where it is allowed.

        The beginning of a trained prompt counts as trained.

        Raises
        ------
        RequestError
        """
        prompt = self.prompt.removesuffix(PROMPT_END)
        if any(style.prompt.startswith(prompt) for style in trained):
            return
        name = "/".join(line.removeprefix("%") for line in prompt.splitlines())
        error = untrained(name, trained, "allow_untrained=True")
        if not allow_untrained:
            raise error
        self.notes.append(error.problem)

    def refuse_form(self, weights: str) -> None:
        """Refuse a forced form, for weights that know none.

        Raises
        ------
        RequestError
        """
        lines = (*self.forced.fields, *self.forced.header.splitlines())
        if any(map(is_form, lines)):
            raise RequestError(
                f"The weights {weights} were not trained on forms, and would not follow one.",
                "Take weights that were, as `scoregate train --settings form` makes them, or leave "
                "the form out.",
            )

    def draft(self, rules: Rules) -> Draft:
        """Return the piece, with nothing sampled yet."""
        return Draft(self.prompt, self.seed, rules, self.forced)


def piece_requests(
    prompts: Iterable[str | Style | None],
    seeds: Iterable[int] | None,
    prefix: str | Iterable[str | None] | None,
    prefix_as: ForcedAs = "opening",
) -> list[PieceRequest]:
    """Return one request for each prompt.

    Parameters
    ----------
    prompts : iterable of str, Style or None
    seeds : iterable of int, or None
        One for each prompt; drawn at random where there are none.
    prefix : str, iterable of str, or None
        Forced text, for all pieces or for each.
    prefix_as : {'opening', 'voice'}

    Raises
    ------
    RequestError
        No prompts, another number of seeds or prefixes, or a wrong one of them.
    """
    asked = _as_list("prompts", prompts)
    if not asked:
        raise RequestError("There are no prompts.", "Give one for each piece.")
    numbers = [secrets.randbits(32) for _ in asked] if seeds is None else _as_list("seeds", seeds)
    if prefix is None or isinstance(prefix, str):
        prefixes = [prefix] * len(asked)
    else:
        prefixes = _as_list("prefix", prefix)
    for name, given in (("seeds", numbers), ("prefixes", prefixes)):
        if len(given) != len(asked):
            raise RequestError(
                f"There are {len(asked)} prompts and {len(given)} {name}.",
                "Give one for each prompt.",
            )
    for seed in numbers:
        random_stream(seed)
    return [
        PieceRequest(prompt, int(seed), text, prefix_as)
        for prompt, seed, text in zip(asked, numbers, prefixes, strict=True)
    ]


def _as_list(name: str, values: Iterable) -> list:
    """Return values as a list; refuse a single value."""
    if isinstance(values, (str, bytes, Style)) or not isinstance(values, Iterable):
        raise RequestError(
            f"{name} must be a list, with one for each piece.", "Put a single one into [ ]."
        )
    return list(values)
