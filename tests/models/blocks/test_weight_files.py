import hashlib
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file

from data.errors import UserError
from models.blocks import weight_files

WHERE = "params.yaml: weights.w.source"


def refuse(match: str, source: object) -> None:
    with pytest.raises(UserError, match=match):
        weight_files.locate(str(source), WHERE)


def test_a_file_and_a_folder_are_where_they_are(tmp_path):
    assert weight_files.locate(str(tmp_path), WHERE) == tmp_path
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors")
    assert weight_files.locate(str(tmp_path / "w.safetensors"), WHERE) == tmp_path / "w.safetensors"


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"")
    refuse(rf"^{WHERE}: .*weihgts\.pth: no such file\. Did you mean 'weights\.pth'", tmp_path / "weihgts.pth")


def test_a_file_of_an_installed_package_is_found(tmp_path, monkeypatch):
    (tmp_path / "some_weights" / "models").mkdir(parents=True)
    (tmp_path / "some_weights" / "__init__.py").write_text(
        "raise AssertionError('the package is not to be run')"
    )
    (tmp_path / "some_weights" / "models" / "w.pth").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    found = weight_files.locate("package:some_weights/models/w.pth", WHERE)
    assert found == tmp_path / "some_weights/models/w.pth" and "some_weights" not in sys.modules
    refuse("package 'some_weights' has no 'models/v.pth'.*'w.pth'", "package:some_weights/models/v.pth")
    refuse("no Python package 'no_such_weights' is installed", "package:no_such_weights/w.pth")


def test_a_hub_that_is_offline_is_told():
    refuse(
        rf"^{WHERE}: someone/vit: no such folder; as a name it is not in the cache, and the hub is off",
        "someone/vit",
    )


def test_a_hub_that_cannot_be_reached_is_told(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    refuse(
        f"^{WHERE}: someone/vit: no such folder; as a name it is not in the cache, and the hub cannot",
        "someone/vit",
    )


def test_the_hash_of_one_file_is_what_sha256sum_tells(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    digests = [hashlib.sha256(content) for content in (b"one", b"two")]
    assert weight_files.sha256([one]) == digests[0].hexdigest()
    assert (
        weight_files.sha256([one, two]) == hashlib.sha256(b"".join(d.digest() for d in digests)).hexdigest()
    )


def test_weights_are_read_from_either_kind_of_file(tmp_path):
    tensors = {"a": torch.arange(3.0), "b": torch.ones(1)}
    torch.save(tensors, tmp_path / "w.pth")
    save_file(tensors, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        read = weight_files.read([tmp_path / name])
        assert read.keys() == tensors.keys() and all(torch.equal(read[key], tensors[key]) for key in tensors)


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path, capsys):
    torch.save({"a": Harmful()}, tmp_path / "w.pth")
    (tmp_path / "v.pth").write_bytes(pickle.dumps(Harmful()))
    for name in ("w.pth", "v.pth"):
        with pytest.raises(
            UserError, match=rf"{name}: holds more than weights, or is cut short, and is not op"
        ):
            weight_files.read([tmp_path / name])
    assert "run" not in capsys.readouterr().out


def test_files_that_hold_something_else_are_named(tmp_path):
    torch.save({"model": {"a": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth: is no state_dict: not every entry is a tensor"):
        weight_files.read([tmp_path / "w.pth"])
    (tmp_path / "w.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"w\.safetensors: cannot be read as weights"):
        weight_files.read([tmp_path / "w.safetensors"])
