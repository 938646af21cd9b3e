"""``python -m flows.workspace.embedded_stores``: make the embedded Prefect and MLflow databases ahead of the first run.

Both would be made when first used, which takes 10 to 20 s once; the set-up of ``make`` is the better time for it. Where
addresses of other servers are set, there is nothing to make.
"""

from __future__ import annotations

import os
import sys

from data.errors import UserError
from flows.prefect_api import server
from flows.workspace import project


def make() -> None:
    """Make what is missing; what is there stays as it is."""
    with server.api():
        server.wait()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        from components.registry import ledger, versions

        versions.snapshot()
        ledger.history()


if __name__ == "__main__":
    try:
        project.enter()
        make()
    except UserError as error:
        sys.exit(f"error: {error}")
