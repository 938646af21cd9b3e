#!/usr/bin/env bash
# Guess: MlflowClient.delete_model_version touches the one version, so it costs the same however many versions there are.
# Seen (MLflow 3.17.2, SQLite): each call reads the registered model with all of its versions first, to see whether it is
# a prompt. Deleting the old versions of a model one by one is quadratic in their number. The registry's own call, below
# the client, reads the same few rows for 10 versions as for 100.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "mlflow==3.17.2" "sqlalchemy==2.0.58" 2>pip.txt || { cat pip.txt; exit 1; }
cat > rows.py <<'PYTHON'
import logging

import mlflow
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from sqlalchemy import event

logging.disable(logging.WARNING)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
read = []
event.listen(SqlModelVersion, "load", lambda version, context: read.append(version.version))


def reads(delete, name, versions):
    client.create_registered_model(name)
    for _ in range(versions):
        client.create_model_version(name, "nowhere")
    read.clear()
    delete(name, "1")
    return len(read)


below = client._get_registry_client().delete_model_version
for title, delete in (("client", client.delete_model_version), ("registry", below)):
    few, many = (reads(delete, f"{title}-{versions}", versions) for versions in (10, 100))
    print(title, "reads more versions where there are more" if many >= few + 90 else "reads as many", sep=": ")
PYTHON
venv/bin/python rows.py 2>/dev/null > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
client: reads more versions where there are more
registry: reads as many
SEEN
