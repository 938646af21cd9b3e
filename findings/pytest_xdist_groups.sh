#!/usr/bin/env bash
# Guess: `--dist loadgroup` of pytest-xdist 3.8.0 keeps tests that are marked with one xdist_group in one process, as its
# documentation says, whatever the release of pytest that it installs with.
# Seen: under pytest 9.2.0 the marks do nothing and nothing is said. pytest-xdist renames tests by their private attribute
# _nodeid (NAME@GROUP) and reads the group back from the name; pytest 9.2 makes the name from another attribute. Every test
# is a group of its own then, in any process, and each process makes fixtures of wider scope again. pytest 8.4.2 groups.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > test_group.py <<'PYTHON'
import os
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(6))
def test_in_one_process(number):
    time.sleep(0.5)
    with open("workers.txt", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
workers() {
    python3 -m venv "venv-$1"
    "venv-$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" "pytest-xdist==3.8.0"
    rm -f workers.txt
    "venv-$1/bin/python" -m pytest -q -n 2 --dist loadgroup test_group.py >/dev/null
    sort -u workers.txt | wc -l
}
old=$(workers 8.4.2)
new=$(workers 9.2.0)
echo "processes that ran one group: pytest 8.4.2: $old, pytest 9.2.0: $new"
[ "$old" -eq 1 ] && [ "$new" -eq 2 ]
