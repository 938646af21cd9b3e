"""Every message that prints a command to type: it is provoked, the command is typed as it stands, and it mends."""

from __future__ import annotations

import os
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components import ingest, prepare, register
from components.project import git
from components.registry import triton
from components.validation import suite
from data import spec
from data.errors import UserError
from flows import doctor
from flows.cli.app import whole
from flows.workspace import pins, project
from tests.components import workspace
from tests.components.conftest import sqlite_project  # noqa: F401 -- a fixture
from tests.components.serving import bundles
from tests.photo_folder import fill
from tests.photo_folder import project as empty_project


@dataclass(frozen=True)
class Mend:
    """A message with a command.

    Attributes:
        provoke: raises the error that prints it, and nothing once it is mended.
        printed: the command, as the message has it.
        damage: what is done to the project before.
        words: what is typed in place of the message's capitals.
    """

    provoke: Callable[[], object]
    printed: str
    damage: Callable[[], object] = lambda: None
    words: dict[str, str] = field(default_factory=dict)


def darkroom(*words: str) -> str:
    """Type ``darkroom`` and ``words``."""
    done = CliRunner().invoke(whole(), words)
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def type_(command: str) -> str:
    """Type ``command`` in a shell; what is Darkroom's own starts no process."""
    words = shlex.split(command)
    if words[0] == "darkroom":
        return darkroom(*words[1:])
    if words[:2] == ["python", "-m"]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words[2:])
            runpy.run_module(words[2], run_name="__main__", alter_sys=False)
        return ""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, input="y\n")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def mends(mend: Mend) -> None:
    """Assert that ``mend`` is printed, and that it does what it promises."""
    mend.damage()
    with pytest.raises(UserError) as told:
        mend.provoke()
    assert mend.printed in str(told.value)
    command = mend.printed
    for word, typed in mend.words.items():
        assert word in command
        command = command.replace(word, typed)
    type_(command)
    mend.provoke()


@pytest.fixture(scope="module")
def _photos(tmp_path_factory) -> Path:
    """A project with the data set ``mine`` of a folder whose name has a space, as the commands print their next."""
    folder = tmp_path_factory.mktemp("photos")
    fill(folder / "my photos")
    root = empty_project(folder / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        said = darkroom("data", "add", str(folder / "my photos"), "--name", "mine")
        while "Next: " in said:
            said = type_(said.strip().rpartition("Next: ")[2])
        assert "expectations hold" in said
        ingest.run("mine")
    return root


@pytest.fixture
def photos(_photos, monkeypatch):
    """That project, to be damaged, as the working directory; its images are made anew where they were changed."""
    kept = _photos.with_name("kept")
    shutil.copytree(_photos.parent, kept, ignore=shutil.ignore_patterns("kept"))
    monkeypatch.chdir(_photos)
    monkeypatch.setattr(project, "CALLED_FROM", _photos)
    yield _photos
    shutil.rmtree(_photos)
    shutil.rmtree(_photos.with_name("my photos"))
    shutil.copytree(kept, _photos.parent, dirs_exist_ok=True)
    shutil.rmtree(kept)


DATASET, SUITE = Path("data/mine/dataset.yaml"), Path("data/mine/suite.yaml")
FOLDER = Path("../my photos")


@pytest.mark.parametrize(
    "mend",
    [
        pytest.param(
            Mend(
                lambda: spec.load(DATASET),
                "darkroom data add FOLDER --name mine",
                DATASET.unlink,
                {"FOLDER": shlex.quote(str(FOLDER))},
            ),
            id="no data set",
        ),
        pytest.param(
            Mend(lambda: suite.load(SUITE), "darkroom data infer mine", SUITE.unlink), id="no suite"
        ),
        pytest.param(
            Mend(lambda: prepare.run("mine"), "python -m components.validate mine"), id="not validated"
        ),
    ],
)
def test_what_is_missing_of_a_data_set(photos, mend):
    mends(mend)


def test_a_folder_that_changed_is_taken_as_it_is(photos):
    folder = shlex.quote(str(FOLDER.resolve()))
    mends(
        Mend(
            lambda: ingest.run("mine"),
            f"darkroom data add {folder} --name mine",
            lambda: next((FOLDER / "cat").iterdir()).unlink(),
        )
    )


def test_a_suite_that_is_there_is_brought_up_to_date(photos):
    with pytest.raises(UserError) as told:
        darkroom("data", "infer", "mine")
    assert "run: darkroom data accept mine. " in str(told.value)
    assert "reference is now of these 24 examples" in type_("darkroom data accept mine")


@pytest.mark.parametrize("file", ["tokens.json", "my tokens.json"])
def test_a_server_gets_the_tokens_that_it_asks_for(tmp_path, monkeypatch, file):
    from components.serving.settings import Settings

    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / file)
    printed = f"darkroom serve-token NAME --file {shlex.quote(path)}"
    mends(Mend(lambda: Settings(tokens=path), printed, words={"NAME": "shop"}))
    (tmp_path / file).unlink()
    with pytest.raises(UserError) as told:
        Settings(host="0.0.0.0")
    assert "(darkroom serve-token NAME --file FILE)" in str(told.value) and "(--tokens FILE)" in str(
        told.value
    )
    type_(f"darkroom serve-token shop --file {shlex.quote(path)}")
    Settings(host="0.0.0.0", tokens=path)


def test_a_token_s_file_is_where_the_command_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.serve.CALLED_FROM", tmp_path / "below")
    darkroom("serve-token", "shop", "--file", "tokens.json")
    assert (tmp_path / "below/tokens.json").is_file()


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ("predict generation a.png", "darkroom generate generation --out FILE"),
        ("predict text_to_image a.png", "darkroom generate text_to_image --prompt TEXT --out FILE"),
        ("generate classification", "darkroom predict classification FILE"),
    ],
)
def test_a_model_that_is_asked_for_what_it_does_not(tmp_path, monkeypatch, asked, printed):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "CALLED_FROM", tmp_path)
    for kind in ("generation", "text_to_image", "classification"):
        bundles.write(tmp_path / kind, kind, name=kind)
    Image.new("L", (4, 4)).save("a.png")
    with pytest.raises(UserError) as told:
        darkroom(*asked.split())
    assert str(told.value).endswith(printed)
    type_(printed.replace("FILE", "a.png").replace("TEXT", "'a big dot'"))


def test_what_a_registry_without_a_champion_asks_for(sqlite_project):  # noqa: F811
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": 0.5}}}})
    workspace.export()
    register.run("m")
    mends(Mend(lambda: triton.run(Path("triton"), ["m"]), "darkroom promote m"))
    with pytest.raises(UserError) as told:
        darkroom("history", "m/1")
    assert "darkroom history m" in str(told.value)
    assert "promoted" in type_("darkroom history m")


@pytest.fixture
def own_home(tmp_path, monkeypatch) -> Path:
    """A home folder of its own, for what commands write there, as the working directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "t")
        monkeypatch.setenv(f"{name}_EMAIL", "t@t")
    (tmp_path / "my project").mkdir()
    monkeypatch.chdir(tmp_path / "my project")
    return tmp_path


def test_a_folder_that_git_calls_dubious(own_home, monkeypatch):
    type_("git init -q")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UserError) as told:
        git.ask("status")
    type_("git config" + str(told.value).partition("git config")[2])
    assert git.ask("status") is not None


def of_doctor(about: str) -> doctor.Finding:
    """Return what ``darkroom doctor`` finds first about ``about``."""
    return next(finding for finding in doctor.examine() if finding.about == about)


def test_a_project_without_a_commit(own_home, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(own_home))
    monkeypatch.setenv("GIT_EDITOR", "echo first >")
    Path("file").touch()
    finding = of_doctor("git")
    assert (finding.state, finding.mend.partition(": ")[2]) == ("bad", "git init; git add .; git commit")
    type_(finding.mend.partition(": ")[2])
    assert of_doctor("git").state == "good"


def test_what_doctor_finds_wrong_with_dvc(toy):
    type_("dvc config cache.type symlink")
    finding = of_doctor("dvc")
    assert (finding.state, finding.mend) == ("bad", "dvc config cache.type reflink,copy")
    type_(finding.mend)
    finding = of_doctor("dvc")
    assert (finding.state, finding.mend) == ("bad", "dvc remote add --default NAME URL")
    type_(finding.mend.replace("NAME", "there").replace("URL", str(toy / "remote")))
    assert of_doctor("dvc").state == "good"


def test_a_disk_that_is_full(pipeline, monkeypatch):
    monkeypatch.setattr(doctor, "ROOM_GB", 10**9)
    finding = of_doctor("disk")
    assert (finding.state, finding.mend) == ("bad", "darkroom gc")
    type_(finding.mend)


def test_other_versions_of_libraries_than_the_lock_says(monkeypatch):
    """The whole lock is what pip is asked for: with its needs resolved anew it would refuse."""
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(pins, "others", lambda lock: [("torch", "2", "1")])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DRY_RUN", "1")
    finding = of_doctor("libraries")
    assert finding.mend.endswith("--no-deps -r requirements.lock")
    assert "Requirement already satisfied: torch==" in type_(finding.mend)
    assert finding.mend.startswith(os.path.relpath(sys.executable))
