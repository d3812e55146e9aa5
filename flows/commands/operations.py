"""``scoregate up``, ``status``, ``down``, ``worker`` and ``monitor``: the line on one machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from scoregate.flows.operations import supervisor
from scoregate.flows.operations.plan import POOL

UP_HELP = """Start everything on this machine: server, worker, dashboard, schedules.

    scoregate up
    scoregate status
    scoregate down

A Prefect server, a worker, the dashboard and a monitor are started in the background, and
prefect.yaml of this folder is deployed; where there is none, one is written. Everything listens
on 127.0.0.1 only. What runs already is left alone, so the command can be typed again: after
prefect.yaml was edited, it deploys it anew.

With `--webhook`, alarms are posted there as JSON with the field `text`, which Slack, Mattermost
and others show. Give the address as SCOREGATE_WEBHOOK to keep it out of the list of processes.
"""
DEPLOY_HELP = """Deploy prefect.yaml of this folder: work pool, schedules, automations.

    scoregate deploy

`scoregate up` does this too. It is for a server and workers that a service manager starts.
"""
DOWN_HELP = """Stop what `scoregate up` has started, and nothing else.

    scoregate down

Runs that go on are ended in good order: what they have finished is archived, and the next run
of the same request goes on from there.
"""
STATUS_HELP = """Say what runs. Exit code: 0 everything runs, 1 something does not.

    scoregate status
    scoregate status --json
"""
WORKER_HELP = """Take runs from the work pool until SIGTERM or Ctrl-C.

    scoregate worker
    PREFECT_API_URL=http://head:4200/api scoregate worker --limit 1

It is Prefect's worker for processes after these steps: find the server, create the pool where it
is missing, and cancel overdue runs that a later run of the same schedule makes up for. While it
works, it marks runs as Crashed that were running at its start and send no heartbeat for 75 s.
"""
MONITOR_HELP = """Serve metrics for Prometheus, and start a screening when scores arrive.

    scoregate monitor
    scoregate monitor --print
"""

Out = Annotated[str, typer.Option(help="Folder of the archive.")]
Inbox = Annotated[str, typer.Option(help="Folder whose files are screened as they arrive.")]
Webhook = Annotated[
    str,
    typer.Option(
        envvar="SCOREGATE_WEBHOOK",
        show_envvar=False,
        show_default=False,
        help="Address that alarms are posted to; kept encrypted on the Prefect server.",
    ),
]
MetricsPort = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]


def up(
    dashboard_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the dashboard.")
    ] = 8765,
    metrics_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the metrics.")
    ] = 9464,
    webhook: Webhook = "",
) -> None:
    """Start what does not run, deploy, and say what runs."""
    # The address must reach no other process.
    os.environ.pop("SCOREGATE_WEBHOOK", None)
    wanted = supervisor.Wanted(
        folder=Path.cwd(),
        dashboard_port=dashboard_port,
        metrics_port=metrics_port,
        webhook=webhook,
        log_level=os.environ.get("PREFECT_LOGGING_LEVEL", "INFO"),
    )
    from scoregate.flows.launch import prepare

    prepare(verbose=False)
    done = supervisor.up(wanted, lambda line: typer.echo(line, err=True))
    if done.started:
        typer.echo(f"Started: {', '.join(done.started)}.")
    if done.running:
        typer.echo(f"Running already: {', '.join(done.running)}.")
    _print_standings(supervisor.standings())
    typer.echo("Next: scoregate doctor")


def deploy(webhook: Webhook = "") -> None:
    """Deploy and say what."""
    from scoregate.flows.launch import prepare

    os.environ.pop("SCOREGATE_WEBHOOK", None)
    prepare(verbose=False)
    wanted = supervisor.Wanted(folder=Path.cwd(), webhook=webhook)
    names = supervisor.deploy(wanted, lambda line: typer.echo(line, err=True))
    typer.echo(f"Deployed: {', '.join(names)}.\nNext: scoregate worker")


def down() -> None:
    """Stop the parts and say which ran."""
    stopped = supervisor.down(lambda line: typer.echo(line, err=True))
    if stopped:
        typer.echo(f"Stopped: {', '.join(stopped)}.")
    else:
        typer.echo("Nothing ran that `scoregate up` had started.")


def status(as_json: Annotated[bool, typer.Option("--json", help="JSON.")] = False) -> None:
    """Print a line for each part."""
    found = supervisor.standings()
    if as_json:
        rows = [{"name": each.name, "runs": each.runs, "detail": each.detail} for each in found]
        typer.echo(json.dumps(rows))
    else:
        _print_standings(found)
    raise typer.Exit(0 if all(each.runs for each in found) else 1)


def worker(
    pool: Annotated[str, typer.Option(help="Work pool.")] = POOL,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most runs at once; left out, there is no limit.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the worker on Prefect's pages.")] = "",
) -> None:
    """Prepare the pool and become Prefect's worker."""
    from scoregate.flows.launch import prepare
    from scoregate.flows.operations import deploying
    from scoregate.flows.server import ensure_server
    from scoregate.flows.zombies import HEARTBEAT_ENVIRONMENT

    prepare(verbose=True)
    server = ensure_server(lambda line: typer.echo(line, err=True))
    with supervisor.connected(server.url) as client:
        if deploying.ensure_pool(client, pool):
            typer.echo(f"Created the work pool {pool}.", err=True)
        for deployment, count in deploying.skip_overdue(client, pool).items():
            typer.echo(f"{deployment}: {count} overdue runs skipped.", err=True)
    for variable, value in HEARTBEAT_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    command = [sys.executable, "-m", "scoregate.flows.operations.worker_process", "--pool", pool]
    command += ["--limit", str(limit)] if limit else []
    command += ["--name", name] if name else []
    sys.stderr.flush()
    # Prefect reads its settings once: the worker is a program of its own. It takes this process's
    # place, so that signals reach it.
    os.execv(sys.executable, command)


def monitor(
    out: Out = "out",
    inbox: Inbox = "inbox",
    port: MetricsPort = 9464,
    host: Annotated[
        str, typer.Option(help="Beside loopback, SCOREGATE_TOKEN must hold a token.")
    ] = "127.0.0.1",
    print_only: Annotated[bool, typer.Option("--print", help="Print the metrics and end.")] = False,
) -> None:
    """Serve metrics and watch the inbox, or print the metrics once."""
    from scoregate.flows.operations.monitor import registry_of, serve

    folder = Path(inbox)
    if print_only:
        from prometheus_client.exposition import generate_latest

        registry = registry_of(Path(out), folder, supervisor.server_address)
        typer.echo(generate_latest(registry).decode(), nl=False)
        return

    def ready(address: str) -> None:
        typer.echo(f"Metrics: {address}; inbox: {inbox}")

    serve(Path(out), folder, supervisor.server_address, host=host, port=port, ready=ready)


def _print_standings(found: list[supervisor.Standing]) -> None:
    for each in found:
        typer.echo(f"  {each.name:<10} {'runs' if each.runs else 'DOWN':<5} {each.detail}")
