"""``scoregate study``: which settings of a model help, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.flows.options import Verbose, takes
from scoregate.flows.printing import as_help
from scoregate.requests import StudyRequest

if TYPE_CHECKING:
    from scoregate.flows.study import StudyRecord

HELP = """Study the settings of a model: train every arm, sample, judge, compare.

    scoregate study lstm --quick
    scoregate study lstm --folder study
"""
LSTM_HELP = """Study sequence length, hidden size, batch and learning rate of the LSTM.

    scoregate study lstm --quick              a small version, for a first look
    scoregate study lstm                      the scale-down, by the same factors
    scoregate study lstm --plan twice         six of its arms at twice the sizes
    scoregate study lstm --plan full          the original sizes: for a GPU, or days

Each factor alone, all together, and half of the combinations; read out with equal updates and
with equal time. A killed study goes on with the same command; a finished arm is not repeated.

Exit code: 0 finished, 1 the time limit left arms out, 2 it could not be done.
"""

app = typer.Typer(no_args_is_help=True)


@takes(StudyRequest)
def lstm(
    request: StudyRequest,
    quick: Annotated[
        bool, typer.Option("--quick", help="The plan `quick`, in the folder `study-quick`.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run the study and print where its tables and figures are."""
    from scoregate.flows.launch import prepare, run_flow
    from scoregate.lstm.study.plan import arms_of, load_plan

    prepare(verbose)
    if quick:
        changes = {"plan": "quick"}
        if request.folder == StudyRequest.model_fields["folder"].default:
            changes["folder"] = "study-quick"
        request = request.model_copy(update=changes)
    # A wrong plan or a missing package is told before a server is started.
    arms_of(load_plan(request.plan))
    record: StudyRecord = run_flow("scoregate.flows.study:study_flow", request=request)
    typer.echo(f"{len(record.arms)} runs of arms are finished.")
    for name in record.diverged:
        typer.echo(f"  diverged: {name}")
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<13} {path}")
    if record.left:
        typer.echo(f"{record.left} runs were left out; the same command goes on.")
        raise typer.Exit(1)


app.command("lstm", help=as_help(LSTM_HELP))(lstm)
