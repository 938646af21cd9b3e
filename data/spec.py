"""``data/<name>/dataset.yaml``: where a data set comes from and what is made of each image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data import kinds, yaml_file
from data.challenge_sets import NAME, ChallengeSet
from data.errors import UserError, nearest
from data.fit import Fit
from data.images import WHITE
from data.recipes.settings import HeadsSpec, LinesSpec, ScenesSpec, TintedSpec
from data.slices import SliceRule, metadata_columns

Model = TypeVar("Model", bound=BaseModel)
RAW_SIDE = 64
"""Images of a folder with a longer side than this are kept as files unless ``image.storage`` says otherwise."""

_Byte = Annotated[int, Field(ge=0, le=255)]


class ImageSpec(BaseModel):
    """What ``prepare`` makes of each image.

    Attributes:
        height: rows, in pixels.
        width: columns, in pixels.
        channels: 1 (grey) or 3 (RGB).
        levels: how many values a pixel can really take. Level ``k`` is stored as ``round(k * 255 / (levels -
            1))``.
        ground: red, green and blue, each in [0, 255], of what transparent pictures are laid on, and padded ones, in
            training and serving alike.
        fit: what becomes of a picture's aspect (``data/fit.py``).
        storage: ``raw``: pixels of this height and width. ``encoded``: the files as they were found, which are decoded
            whenever they are read, large JPEG files at a smaller scale. Without it :attr:`DatasetSpec.is_encoded` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(ge=2, le=4096)
    width: int = Field(ge=2, le=4096)
    channels: Literal[1, 3]
    levels: int = Field(default=256, ge=2, le=256)
    ground: tuple[_Byte, _Byte, _Byte] = WHITE
    fit: Fit = "stretch"
    storage: Literal["raw", "encoded"] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of the pixels; of ground and fit what is set, so that older hashes stay right."""
        values = self.model_dump(exclude={"storage"})
        if self.ground == WHITE:
            del values["ground"]
        if self.fit == "stretch":
            del values["fit"]
        return values


class Splits(BaseModel):
    """How the splits are made that the source does not give (``data/splits.py``).

    Attributes:
        validation: its share of the examples, in [0, 1).
        test: likewise.
        by: ``content`` or ``group``: an example's split depends on its content, or on the ``group`` that its metadata
            give it, and never changes when others come or go. ``class``: each class has its shares exactly, and the
            borders move when the data grow.
        salt: another one deals all contents or groups anew.
        test_weeks: ``test`` is the newest that many weeks instead, by the ``time`` of the metadata.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(default=0.15, ge=0, lt=1)
    test: float = Field(default=0.15, ge=0, lt=1)
    by: Literal["content", "group", "class"] = "content"
    salt: str = ""
    test_weeks: int | None = Field(default=None, ge=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the rule needs of metadata."""
        by = {"group": self.by == "group", "time": self.test_weeks is not None}
        return tuple(name for name, is_needed in by.items() if is_needed)

    @model_validator(mode="after")
    def _tell_one_rule(self) -> Splits:
        if self.test_weeks is not None and "test" in self.model_fields_set:
            raise ValueError("test is a share, and test_weeks says what test is instead: remove one")
        if self.by == "class" and (self.salt or self.test_weeks is not None):
            raise ValueError(
                "by: class goes with neither salt nor test_weeks: choose by: content or by: group"
            )
        return self

    @model_validator(mode="after")
    def _leave_a_train_split(self) -> Splits:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation + test is {self.validation + self.test:g}: nothing is left to train on"
            )
        return self


class ObjectsSpec(BaseModel):
    """Where it is said which objects lie in each image, and whether their masks are wanted.

    Attributes:
        coco: COCO's JSON files of an ``imagefolder``; without any its ``metadata.jsonl`` has ``objects``.
        masks: every object has a mask, which is kept; else only the boxes are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    coco: tuple[Path, ...] = ()
    masks: bool = False


class TextSpec(BaseModel):
    """What transcripts are made of.

    Attributes:
        symbols: in the order of their indices; sorted by name without it.
        separator: what stands between two symbols; where it is empty, each character is a symbol.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbols: tuple[str, ...] | None = Field(default=None, min_length=1)
    separator: str = ""

    @model_validator(mode="after")
    def _have_symbols_that_can_be_told_apart(self) -> TextSpec:
        for symbol in self.symbols or ():
            if self.symbols.count(symbol) > 1:
                raise ValueError(f"the symbol {symbol!r} is there twice")
            if not symbol or (self.separator in symbol if self.separator else len(symbol) > 1):
                told = f"the separator {self.separator!r}" if self.separator else "a separator"
                raise ValueError(f"{symbol!r} is no symbol where transcripts are taken apart at {told}")
        return self


class CaptionsSpec(BaseModel):
    """That every image has a caption, in words, which images are made from.

    Attributes:
        tinted: recipe ``captions``: the pictures that are drawn, and what is said of them. A user's captions are the
            ``text`` of ``metadata.jsonl``, and need no setting: ``captions: {}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tinted: TintedSpec | None = None


class DatasetSpec(BaseModel):
    """The whole of ``dataset.yaml``.

    Attributes:
        source: ``packaged`` (scikit-learn), ``torchvision``, ``imagefolder`` (a folder of the user's images),
            ``tuxpaint`` (photographs that a package of Debian's installs), ``derived`` (made from another data set) or
            ``heads`` (drawn: data/sources/faces).
        folder: ``imagefolder``: the user's folder, never written to. ``torchvision``, ``tuxpaint``: a local folder,
            tried first.
        listing: ``imagefolder``: SHA-256 over relative path, size and modification time of each file.
        parent: ``derived``: the data set that it is made from, as ``from`` in the file.
        recipe: ``derived``: what is made; ``edges``: pairs of an image's edge map and the image; ``scenes``: several
            images on one ground, with boxes and masks; ``lines``: some in a row, with their classes as the transcript;
            ``captions``: one in an ink on a ground, with a caption that names both and the class.
        classes: class names in the order of their indices; without it they are sorted by name. Of ``tuxpaint``, the
            categories that are taken.
        image: what ``prepare`` makes of each image.
        input_channels: of data for translation: channels of the image that is translated, 1 (grey) or 3 (RGB). It
            is brought to the height and width of ``image``. With recipe ``captions``, 1: each picture's edge map goes
            with it.
        objects: of data for detection: where they are told of.
        scenes: recipe ``scenes``, and ``tuxpaint`` for scenes of photographs: how many.
        heads: ``heads``: how many.
        text: of data for transcription: what transcripts are made of. Of ``lines``, the classes whose images are used.
        lines: ``lines``: how many, and how they look.
        captions: of data for text to image: that images have captions, and for recipe ``captions``, which.
        splits: how the splits are made that the source does not give; of ``heads``, shares of the people.
        slices: parts of the test split that are measured and compared by themselves (``data/slices.py``).
        challenge_sets: further images that are measured by themselves and are in no split (``data/challenge_sets.py``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["packaged", "torchvision", "imagefolder", "tuxpaint", "derived", "heads"]
    folder: Path | None = None
    listing: str | None = None
    parent: str | None = Field(default=None, alias="from")
    recipe: Literal["edges", "scenes", "lines", "captions"] | None = None
    classes: tuple[str, ...] | None = None
    image: ImageSpec
    input_channels: Literal[1, 3] | None = None
    objects: ObjectsSpec | None = None
    scenes: ScenesSpec | None = None
    heads: HeadsSpec | None = None
    text: TextSpec | None = None
    lines: LinesSpec | None = None
    captions: CaptionsSpec | None = None
    splits: Splits = Splits()
    slices: dict[str, SliceRule] = Field(default_factory=dict)
    challenge_sets: dict[str, ChallengeSet] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _have_what_the_source_needs(self) -> DatasetSpec:
        if self.source == "imagefolder" and self.folder is None:
            raise ValueError("source imagefolder needs a folder")
        if self.source == "derived" and (self.parent is None or self.recipe is None):
            raise ValueError("source derived needs 'from', a data set, and a 'recipe'")
        if self.source == "heads" and (self.heads is None or self.image.channels != 3):
            raise ValueError(
                "source heads needs 'heads', such as {people: 100, frames: 20}, and image.channels: 3"
            )
        if self.image.storage == "encoded" and (self.source != "imagefolder" or self.image.levels != 256):
            raise ValueError(
                "image.storage: encoded is for files of 256 levels: it needs source imagefolder, and no image.levels"
            )
        if self.splits.columns and self.source != "imagefolder":
            raise ValueError(
                f"splits: a {self.splits.columns[0]} is told by metadata, and source {self.source} has none"
            )
        if self.metadata_columns and self.source != "imagefolder":
            raise ValueError(
                f"slices: {self.metadata_columns[0]!r} is a column of metadata, and source {self.source} has none"
            )
        if self.challenge_sets and (self.source == "heads" or self.captions is not None):
            raise ValueError(
                "challenge_sets: are of images with a right answer each, and this data set has none"
            )
        for name in self.challenge_sets:
            if not NAME.fullmatch(name):
                raise ValueError(f"challenge_sets: {name!r} is no name: letters, digits, '-' and '_' are")
        if any(one.coco for one in self.challenge_sets.values()) and self.objects is None:
            raise ValueError("challenge_sets: coco tells of objects, and the data set has none")
        if any(rule.box_area is not None for rule in self.slices.values()) and self.objects is None:
            raise ValueError("slices: box_area is of objects, and the data set has none")
        if self.recipe == "edges" and self.input_channels != 1:
            raise ValueError("recipe edges makes grey edge maps: it needs input_channels: 1")
        if self.recipe == "scenes" and (self.scenes is None or self.objects != ObjectsSpec(masks=True)):
            raise ValueError(
                "recipe scenes needs 'scenes', such as {train: 3000, validation: 300, test: 400}, and objects: "
                "{masks: true}"
            )
        of_photographs = self.source == "tuxpaint" and (self.scenes is not None or self.objects is not None)
        if of_photographs and (
            self.scenes is None or self.objects != ObjectsSpec(masks=True) or self.image.channels != 3
        ):
            raise ValueError(
                "source tuxpaint has objects in scenes, and they have masks: it needs 'scenes', such as {train: 600, "
                "validation: 80, test: 120}, objects: {masks: true} and image.channels: 3"
            )
        if self.recipe == "lines" and (self.lines is None or self.text is None or self.text.symbols is None):
            raise ValueError(
                "recipe lines needs 'lines', such as {train: 6000, validation: 600, test: 1000}, and text.symbols"
            )
        has_tinted = self.captions is not None and self.captions.tinted is not None
        if self.recipe == "captions" and (not has_tinted or self.image.channels != 3):
            raise ValueError(
                "recipe captions needs captions.tinted, which says what is drawn, and image.channels: 3"
            )
        if has_tinted and self.recipe != "captions":
            raise ValueError(
                "captions.tinted is for recipe captions; where images have captions: captions: {}"
            )
        if self.captions is not None and self.source not in ("derived", "imagefolder", "tuxpaint"):
            raise ValueError(f"source {self.source} has no captions")
        kinds = [
            key for key in ("objects", "input_channels", "text", "captions") if getattr(self, key) is not None
        ]
        if len(kinds) > 1 and not (kinds == ["input_channels", "captions"] and has_tinted):
            raise ValueError(
                f"{' and '.join(kinds)}: data is for detection, translation, transcription or text to image"
            )
        if has_tinted and self.input_channels not in (None, 1):
            raise ValueError("captions.tinted with inputs has edge maps, which are grey: input_channels: 1")
        return self

    @property
    def is_encoded(self) -> bool:
        """Whether images are kept as files: where it is said, and of a folder's images with a side over 64 pixels."""
        if self.image.storage is not None:
            return self.image.storage == "encoded"
        is_large = max(self.image.height, self.image.width) > RAW_SIDE
        return self.source == "imagefolder" and is_large and self.image.levels == 256

    @property
    def metadata_columns(self) -> tuple[str, ...]:
        """The columns of the user's metadata that the slices need, sorted."""
        return metadata_columns(self.slices)

    def of_challenge_set(self, name: str) -> DatasetSpec:
        """Return the settings by which the folder of a challenge set is read.

        What all sets need of metadata is among :attr:`metadata_columns`, and the ``group`` where splits are made by it.
        """
        one = self.challenge_sets[name]
        columns = {each.column for each in self.challenge_sets.values() if each.column is not None}
        if self.splits.by == "group":
            columns.add("group")
        read: dict[str, Any] = {"source": "imagefolder", "folder": one.folder, "listing": one.listing}
        if self.objects is not None:
            read["objects"] = self.objects.model_copy(update={"coco": one.coco})
        slices = {column: SliceRule(column=column) for column in sorted(columns)}
        return self.model_copy(update=read | {"splits": Splits(), "slices": slices, "challenge_sets": {}})

    @property
    def kind(self) -> str:
        """What the data will be for, one of :data:`.kinds.KINDS`."""
        tensors = {
            "boxes": self.objects,
            "captions": self.captions,
            "inputs": self.input_channels,
            "landmarks": self.heads if self.source == "heads" else None,
            "texts": self.text,
        }
        return kinds.of([name for name, setting in tensors.items() if setting is not None])


def load(path: Path) -> DatasetSpec:
    """Read and check a ``dataset.yaml``.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key or a value that cannot be.
    """
    return parse(
        path,
        DatasetSpec,
        yaml_file.read(path, f"Add a data set with: darkroom data add FOLDER --name {path.parent.name}"),
    )


def parse(path: Path, model: type[Model], values: Any) -> Model:
    """Check ``values``, read from ``path``, against ``model``.

    Raises:
        UserError: names each key that is unknown, missing or has a value that cannot be.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(_explain(path, model, problem) for problem in error.errors())) from None


def _explain(path: Path, model: type[BaseModel], problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return (
            f"{path}: {key}: unknown key.{nearest(problem['loc'][-1], _keys_beside(model, problem['loc']))}"
        )
    if problem["type"] == "missing":
        return f"{path}: {key}: is missing."
    if problem["type"] == "literal_error":
        return f"{path}: {key}: {problem['input']!r}: {problem['msg']}"
    return f"{path}: {key or 'the file'}: {problem['msg']} (got {problem['input']!r})"


def _keys_beside(model: type[BaseModel], location: tuple) -> list[str]:
    for part in location[:-1]:
        if part not in model.model_fields:  # a name that the user gave
            continue
        kind = model.model_fields[part].annotation
        model = next(one for one in (kind, *get_args(kind)) if hasattr(one, "model_fields"))
    return [field.alias or name for name, field in model.model_fields.items()]
