"""Every error that Scoregate raises on purpose, as one small tree.

::

    ScoregateError
    ├── InputError              something a person handed in is wrong
    │   ├── RequestError        a style, sampling value, count ... that can't be served
    │   └── UnreadableError     a file that isn't there or can't be read
    ├── WeightsError            weights missing, damaged, or of a foreign shape
    ├── ToolError               a program or server that is needed isn't there or fails
    │   └── ServerError         no healthy Prefect server
    ├── GenerationError         the model gave something unusable (NaN logits ...)
    ├── GateError               a gate failed at its own work: the piece is not judged
    ├── RunError                a run can't go on: see the message
    │   └── BusyError           another process is at work on the same thing
    └── ArchiveError            the archive can't be read or written
        └── CorruptError        what lies in the archive is not what was put there

A score that fails a gate is no error: it is a value, a list of findings.
"""


class ScoregateError(Exception):
    """An error with a remedy.

    Parameters
    ----------
    problem : str
        What is wrong, naming the thing at fault.
    remedy : str
        What the reader can do about it; a sentence, or a command to type.

    Attributes
    ----------
    exit_code : int
        Exit code of a command that ends with it.
    """

    exit_code = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple:
        # Errors cross process borders: rebuild them from both parts.
        return (type(self), (self.problem, self.remedy))


class InputError(ScoregateError):
    """Something a person handed in is wrong."""


class RequestError(InputError):
    """A request that can't be served: an unknown style, a temperature of 0 ..."""


class UnreadableError(InputError):
    """A file that isn't there or can't be read."""


class WeightsError(ScoregateError):
    """Weights that are missing, damaged or of a foreign shape."""


class ToolError(ScoregateError):
    """A program that is needed is missing or fails."""


class ServerError(ToolError):
    """No healthy Prefect server can be reached or started."""


class GenerationError(ScoregateError):
    """The model gave something unusable, such as NaN logits."""


class GateError(ScoregateError):
    """A gate failed at its own work, so the piece is not judged."""


class RunError(ScoregateError):
    """A production run that can't go on."""


class BusyError(RunError):
    """Another process is at work on the same run or the same request."""

    exit_code = 3


class ArchiveError(ScoregateError):
    """The archive can't be read or written."""


class CorruptError(ArchiveError):
    """What lies in the archive is not what was put there."""
