"""``scoregate dashboard``: look at pieces, listen, decide."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

HELP = """Open the review dashboard of an archive in the browser.

    scoregate dashboard
    scoregate dashboard --out tonight --port 9000
    scoregate dashboard --run 20261121-134414-ffe082 --export exported

It is served on this machine only. `--host` opens it to others, who then need the token in
the address that is printed.
"""


def command(
    out: Annotated[str, typer.Option(help="Folder of the archive.")] = "out",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    experiments: Annotated[
        Path,
        typer.Option(help="Folder below which sweeps, searches, comparisons and studies are."),
    ] = Path("."),
    export: Annotated[
        Path | None,
        typer.Option(help="Write pieces into this folder, to be opened from disk, and end."),
    ] = None,
    run: Annotated[str, typer.Option(help="With --export: only the pieces of this run.")] = "",
) -> None:
    """Serve the dashboard until Ctrl-C, or export pages."""
    if export is not None:
        _export(Path(out), export, run)
        return
    from scoregate.dashboard.app.serve import serve

    def ready(address: str) -> None:
        typer.echo(f"The dashboard of {out}: {address}\nCtrl-C ends it.")
        if browser:
            webbrowser.open(address)

    serve(Path(out), host=host, port=port, experiments=experiments, ready=ready)


def _export(out: Path, folder: Path, run: str) -> None:
    from scoregate.dashboard.app.export_site import files_of, write_folder
    from scoregate.dashboard.app.filters import PieceFilter
    from scoregate.dashboard.app.library import Library
    from scoregate.dashboard.app.site import Site

    site = Site(Library(out))
    rows = site.library.matching(PieceFilter(run=run), "", 10_000)
    title = f"Run {run}" if run else "All pieces"
    write_folder(folder, files_of(site, rows, title))
    typer.echo(f"{len(rows)} pieces written; open {folder / 'index.html'}")
