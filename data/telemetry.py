"""No tool reports home from here, or keeps a store of what it would report.

Each tool reads its variable when it is imported or first used, so the packages ``components`` and ``flows`` import this
module before anything else. Variables that are set already stay as they are.
"""

from __future__ import annotations

import os

OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Without it, the import alone makes a device id and a database of events in the user's cache folder.
    "ORT_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}

for _name, _value in OFF.items():
    os.environ.setdefault(_name, _value)
