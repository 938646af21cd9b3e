#!/usr/bin/env bash
# Guess: importing onnxruntime 1.31.1 on Linux leaves the same files in the home folder wherever it runs, so that a test on a
# build server can hold a program to leaving none.
# Seen: a person's account gets a device id and a database of events below ~/.cache by the import alone. With one of the
# variables by which build servers are known (CI, GITHUB_ACTIONS, GITLAB_CI, BUILDKITE, TF_BUILD, TRAVIS, ...) nothing is
# written and nothing is said: such a test passes there whether or not the program turned telemetry off. The
# value counts: with CI=false the files are there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.31.1
files() {
    rm -rf home && mkdir home
    env -i PATH="$PATH" HOME="$folder/home" "$@" venv/bin/python -c 'import onnxruntime'
    find home -type f | wc -l
}
person=$(files NOTHING=1)
off=$(files ORT_DISABLE_TELEMETRY=1)
echo "files that the import left: a person $person, ORT_DISABLE_TELEMETRY=1 $off"
for name in CI GITHUB_ACTIONS GITLAB_CI BUILDKITE TF_BUILD TRAVIS; do
    echo "$name=true: $(files "$name=true"), $name=false: $(files "$name=false")"
done
[ "$person" -gt 0 ] && [ "$off" -eq 0 ] && [ "$(files CI=true)" -eq 0 ] && [ "$(files GITHUB_ACTIONS=true)" -eq 0 ]
