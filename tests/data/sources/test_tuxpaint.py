from pathlib import Path

import pytest
from PIL import Image

from data import spec
from data.errors import UserError
from data.sources import tuxpaint
from tests import needs

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = spec.load(ROOT / "data/stamps/dataset.yaml")


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA", (4, 4)).save(file)
        if "_mirror" not in name:
            file.with_suffix(".txt").write_text(
                f"A {file.stem}, für Kinder.\nde=Ein Bild\n", encoding="utf-8"
            )


@pytest.fixture
def stamps(tmp_path, monkeypatch):
    """Write a folder like the package's and name it in the environment; return it."""
    write(tmp_path, "animals/birds/duck.png", "animals/cow.png", "animals/insects/cartoon/bee.png")
    write(
        tmp_path, "food/pear.png", "symbols/chess/king.png", "household/tape.png", "household/tape_mirror.png"
    )
    monkeypatch.setenv(tuxpaint.ENVIRONMENT, str(tmp_path))
    return tmp_path


def test_photographs_have_the_class_of_their_top_folder(stamps):
    files = tuxpaint.load("stamps", SETTINGS.model_copy(update={"classes": None}))
    assert [(file.id, file.label) for file in files] == [
        ("animals/birds/duck.png", "animals"),
        ("animals/cow.png", "animals"),
        ("food/pear.png", "food"),
        ("household/tape.png", "household"),
    ]
    assert all(file.text is None for file in files)


def test_only_the_named_categories_are_taken(stamps):
    files = tuxpaint.load("stamps", SETTINGS.model_copy(update={"classes": ("food",)}))
    assert [file.id for file in files] == ["food/pear.png"]


def test_the_english_line_is_the_caption(stamps):
    settings = SETTINGS.model_copy(update={"classes": ("food",), "captions": spec.CaptionsSpec()})
    assert tuxpaint.load("stamps", settings)[0].text == "A pear, für Kinder."


def test_a_category_that_is_not_there_is_refused_with_the_nearest(stamps):
    settings = SETTINGS.model_copy(update={"classes": ("food", "animal")})
    with pytest.raises(UserError, match=r"dataset\.yaml: classes: .*no photographs of 'animal'.*'animals'"):
        tuxpaint.load("stamps", settings)


@pytest.mark.parametrize("there", [True, False])
def test_without_the_package_its_name_is_told(tmp_path, monkeypatch, there):
    monkeypatch.setenv(tuxpaint.ENVIRONMENT, str(tmp_path if there else tmp_path / "none"))
    with pytest.raises(
        UserError, match=r"DARKROOM_TUXPAINT_STAMPS: no stamps in .*install tuxpaint-stamps-def"
    ):
        tuxpaint.load("stamps", SETTINGS)


def test_the_folder_of_the_settings_comes_first(stamps, tmp_path):
    settings = SETTINGS.model_copy(update={"folder": tmp_path / "other"})
    with pytest.raises(UserError, match=r"dataset\.yaml: folder: no stamps in .*other"):
        tuxpaint.load("stamps", settings)


def test_the_installed_package_has_the_photographs(monkeypatch):
    monkeypatch.delenv(tuxpaint.ENVIRONMENT, raising=False)
    if not tuxpaint.DEBIAN_FOLDER.is_dir():
        needs.missing(f"the stamps: apt-get install {tuxpaint.PACKAGE}")
    files = tuxpaint.load("stamps", SETTINGS.model_copy(update={"captions": spec.CaptionsSpec()}))
    assert len(files) > 300 and {file.label for file in files} == set(SETTINGS.classes)
    assert all(file.text for file in files)
