"""Puts what happened into the outbox, from wherever it is recorded."""

from __future__ import annotations

from components.alerts import from_ledger, watch
from components.alerts.outbox import Outbox
from components.project.sections import AlertsPolicy


def collect(outbox: Outbox, policy: AlertsPolicy) -> None:
    """Put in what the ledger has of this workspace, and schedules that did not run; the latter also without a registry.

    Raises:
        UserError, MlflowException: the registry does not answer.
    """
    watch.collect(outbox, policy)
    from_ledger.collect(outbox, policy)
