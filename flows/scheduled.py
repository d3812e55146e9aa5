"""Flows as the deployments of prefect.yaml run them: with a limit on their time.

A production that reaches its limit is Failed with the state ``TimedOut``. What it had archived
stays, and a later run of the same request goes on from there.
"""

from __future__ import annotations

from scoregate.flows.produce import produce

HOUR = 3600

nightly = produce.with_options(timeout_seconds=6 * HOUR)
on_demand = produce.with_options(timeout_seconds=24 * HOUR)
