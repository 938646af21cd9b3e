import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data import spec
from data.errors import UserError
from data.sources import idx, torchvision

ROOT = Path(__file__).resolve().parents[3]


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + array.tobytes()


@pytest.fixture
def four_files(tmp_path, monkeypatch):
    """Write four small files in place of the real ones; return their folder."""
    random = np.random.default_rng(0)
    for prefix, count in (("train", 30), ("t10k", 10)):
        for kind, array in (
            ("images-idx3", random.integers(0, 256, (count, 28, 28))),
            ("labels-idx1", np.arange(count) % 10),
        ):
            name, content = f"{prefix}-{kind}-ubyte.gz", idx_bytes(array.astype(np.uint8))
            (tmp_path / name).write_bytes(gzip.compress(content))
            monkeypatch.setitem(torchvision.FASHION_MNIST, name, hashlib.sha256(content).hexdigest())
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(torchvision.ENVIRONMENT, raising=False)
    return tmp_path


def settings(folder=None) -> spec.DatasetSpec:
    return spec.load(ROOT / "data/fashion_mnist/dataset.yaml").model_copy(update={"folder": folder})


def test_the_folder_of_the_settings_comes_first(four_files, monkeypatch):
    monkeypatch.setenv(torchvision.ENVIRONMENT, "/nowhere")
    arrays = torchvision.load("fashion_mnist", settings(four_files))
    assert arrays.images.shape == (40, 28, 28, 1) and arrays.ids == sorted(arrays.ids)
    assert arrays.splits == ["test"] * 10 + ["train"] * 30
    assert arrays.labels[:3] == ["T-shirt/top", "Trouser", "Pullover"]


def test_the_environment_names_a_folder(four_files, monkeypatch):
    monkeypatch.setenv(torchvision.ENVIRONMENT, str(four_files))
    assert len(torchvision.load("fashion_mnist", settings()).images) == 40


def test_a_named_folder_must_have_the_files(four_files):
    (four_files / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"dataset\.yaml: folder: .* has no t10k-labels-idx1-ubyte\.gz"):
        torchvision.load("fashion_mnist", settings(four_files))


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"other content"), gzip.compress(b"x" * 999)[:-9]],
    ids=["no gzip", "another content", "cut short"],
)
def test_a_damaged_file_is_named(four_files, content):
    (four_files / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz"):
        torchvision.load("fashion_mnist", settings(four_files))


def test_torchvision_is_imported_only_to_download(four_files, monkeypatch):
    script = (
        "import sys; from data.sources import torchvision; from pathlib import Path\n"
        "print(torchvision._folder('fashion_mnist', __import__('data.spec').spec.load(\n"
        "    Path('data/fashion_mnist/dataset.yaml'))))\n"
        "print({'torch', 'torchvision'} & set(sys.modules))"
    )
    monkeypatch.setenv(torchvision.ENVIRONMENT, str(four_files))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(four_files), "set()"], done.stderr


def test_another_name_is_refused():
    with pytest.raises(UserError, match="Did you mean 'fashion_mnist'"):
        torchvision.load("fashion_mist", settings())


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x09\1\0\0\0\0", b"\0\0\x08\1\0\0\0\2a", b"\0\0\x08\2\0\0\0\2ab"]
)
def test_idx_of_another_type_or_size_is_refused(content):
    with pytest.raises(ValueError):
        idx.parse(content)
