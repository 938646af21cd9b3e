#!/usr/bin/env bash
# Guess: `datasets.load_dataset("imagefolder", data_dir=...)` of a folder with two class folders gives one split, train,
# with all images and two labels, whatever the classes are called.
# Seen (datasets 5.2.0): where a class is called "test tube", only its images are loaded, as split test, without labels;
# the other class is gone and nothing is said. The same with "dev board" (split validation) and with one single file
# called flask_test.png: the data set is then that one image. Words of splits are looked for between any separators of
# the whole path, and files without such a word are left out as soon as one has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "datasets==5.2.0" "pillow==13.0.0"
export HF_HUB_OFFLINE=1 HF_HOME=$folder/home
cat > load.py <<'PYTHON'
import sys
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()


def load(name, files):
    for number, file in enumerate(files):
        path = Path(name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, number, number)).save(path)
    splits = datasets.load_dataset("imagefolder", data_dir=name)
    return {split: (len(rows), "label" in rows.features) for split, rows in splits.items()}


plain = [f"{label}/{number}.png" for label in ("beaker", "flask") for number in range(3)]
print(load("plain", plain))
print(load("tube", [file.replace("flask", "test tube") for file in plain]))
print(load("board", [file.replace("flask", "dev board") for file in plain]))
print(load("one", [*plain, "flask/flask_test.png"]))
PYTHON
venv/bin/python load.py 2>/dev/null > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
{'train': (6, True)}
{'test': (3, False)}
{'validation': (3, False)}
{'test': (1, False)}
SEEN
