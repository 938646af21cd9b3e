#!/usr/bin/env bash
# Guess: a local ray.init() leaves nothing behind that a cluster started later by "ray start" takes notice of.
# Seen (Ray 2.60.0): it writes a token into ~/.ray. A cluster that the same account then starts by "ray start" asks for that
# token, and Ray's own "ray status" beside it does not send it: it is refused, and says that its authentication is disabled.
# Without the file the same two commands work. So a program that joins a cluster must never start a local one by chance.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "ray==2.60.0" 2>pip.txt || { cat pip.txt; exit 1; }
export HOME="$folder/home" RAY_USAGE_STATS_ENABLED=0
unset RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_ADDRESS
mkdir home
cat > local.py <<'PYTHON'
import ray

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
ray.shutdown()
PYTHON

told() {
    local refused='Authentication token is missing or incorrect' answer='no answer'
    venv/bin/ray start --head --block --port=6391 --num-cpus=1 --include-dashboard=false >start.txt 2>&1 &
    local cluster=$!
    for _ in $(seq 60); do
        if venv/bin/ray status --address=127.0.0.1:6391 >status.txt 2>&1; then answer='it answers'; break; fi
        if grep -q "$refused" status.txt; then answer="$refused"; break; fi
        sleep 1
    done
    kill $cluster
    wait $cluster || true
    echo "$1, ray status: $answer"
}

{
    told "before"
    venv/bin/python local.py >local.txt 2>&1
    ls -A home/.ray
    told "after a local ray.init()"
} > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
before, ray status: it answers
auth_token
after a local ray.init(), ray status: Authentication token is missing or incorrect
SEEN
