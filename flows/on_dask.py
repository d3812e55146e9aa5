"""The task runner of a flow whose tasks run on a Dask cluster."""

from __future__ import annotations

from typing import Any

from scoregate.errors import ToolError


def dask_runner(address: str, workers: int) -> Any:
    """Return Prefect's task runner for a Dask cluster.

    Parameters
    ----------
    address : str
        ``local``, or the address of a scheduler whose workers share the disk.
    workers : int
        Processes of a local cluster.

    Raises
    ------
    ToolError
        Dask isn't installed.
    """
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ToolError(
            "Dask isn't installed.", "Install it with `pip install 'scoregate[dask]'`."
        ) from error
    if address == "local":
        return DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1})
    return DaskTaskRunner(address=address)
