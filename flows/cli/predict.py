"""``darkroom predict`` and ``darkroom generate``: a model's answers on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from components.pipelines import Pipeline

Model = Annotated[
    str, typer.Argument(help="NAME, its champion; NAME@challenger; NAME@3; or a folder with a bundle.")
]
Url = Annotated[
    str | None,
    typer.Option(
        help="Ask the server there, such as http://127.0.0.1:8080; a token is read from DARKROOM_TOKEN."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]

ANYWHERE = {"predict", "generate"}
"""They enter a project only for a model of its registry: servers and folders are asked from anywhere."""


def add_to(app: typer.Typer) -> None:
    """Mount the commands on ``app``."""
    for command in (predict, generate):
        app.command()(command)


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP files.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the model's picture goes: a file, or a folder for several."),
    ] = None,
    landmarks: Annotated[
        Path | None,
        typer.Option(help="For a head model: JSON, [[x, y], ...] in [0, 1] of the picture's sides."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="For a ControlNet: what to draw; the files are edge maps.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For a ControlNet: the same seed gives the same image.")] = 0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask a model about image files. The model is a champion of the registry or of a server."""
    where = _model(model, url)
    from components.pipelines import pipeline
    from components.pipelines.tasks import Takes

    asked = pipeline(model=where, url=url)
    files = [_called_from(image) for image in images]
    if asked.interface.USAGE.takes.draws:
        prompt = " --prompt TEXT" if asked.interface.USAGE.takes is Takes.PROMPT else ""
        raise UserError(f"{model}: takes no picture. Ask it by: darkroom generate {model}{prompt} --out FILE")
    given: dict[str, Any] = {"prompt": prompt, "seed": seed}
    if "landmarks" in asked.interface.USAGE.parameters:
        given["landmarks"] = _points(asked, landmarks)
    found = asked.source.ask(files, given)
    kinds = ("image", "mask")
    if pictures := [answer[kind] for answer in found for kind in kinds if kind in answer]:
        names = [f"{image.stem}.png" for image in images[: len(pictures)]]
        written = _write(pictures, out, names, model)
        _tell_written(written, asked, as_json)
        return
    if as_json:
        values = [{"image": str(image), **answer} for image, answer in zip(images, found, strict=True)]
        typer.echo(json.dumps(_head(asked) | {"answers": values}, indent=2))
        return
    for image, answer in zip(images, found, strict=True):
        typer.echo(f"{image}  {asked.interface.line(answer)}")


def generate(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            help="The PNG file to write, images side by side; an existing folder gets a file of each."
        ),
    ] = Path("made.png"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 1,
    prompt: Annotated[
        str | None,
        typer.Option(
            help='What to draw, for a text-to-image model: "a red seven". Unknown words are refused.'
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="The class to draw, for a model that knows classes; without it every class in turn."
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Draw images from a seed or a prompt."""
    where = _model(model, url)
    from components.pipelines import pipeline, postprocess

    asked = pipeline(model=where, url=url)
    if not asked.interface.USAGE.takes.draws:
        raise UserError(f"{model}: is for {asked.task}. Ask it by: darkroom predict {model} FILE")
    given = {"seed": seed, "count": count, "label": label, "prompt": prompt}
    (answer,) = asked.source.ask((), given)
    images = answer["images"]
    names = [f"{asked.source.description['name']}-{seed}-{place:04d}.png" for place in range(count)]
    whole = images if _called_from(out).is_dir() else [postprocess.sheet(images)]
    _tell_written(_write(whole, out, names, model), asked, as_json)


def _points(asked: Pipeline, landmarks: Path | None) -> Any:
    if landmarks is None:
        raise UserError(
            f"{asked.source.description['name']}: needs --landmarks FILE: where the face's points shall be."
        )
    file = _called_from(landmarks)
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: no JSON can be read there: {error}") from None


def _model(model: str, url: str | None) -> str:
    """Return ``model``: a folder as it is meant from where the command was called; a name, and enter its project."""
    from flows.workspace import project

    if url is not None:
        return model
    folder = _called_from(Path(model))
    if (folder / "bundle.json").is_file():
        return str(folder)
    project.enter()
    return model


def _called_from(path: Path) -> Path:
    from flows.workspace.project import CALLED_FROM

    return CALLED_FROM / path


def _write(pictures: list[Image.Image], out: Path | None, names: list[str], model: str) -> list[Path]:
    """Write one picture to the file ``out``, or each by its name into the folder ``out``."""
    from components.pipelines import postprocess
    from data import atomic

    if out is None:
        raise UserError(
            f"{model}: answers with pictures; say where they go by --out FILE, or FOLDER for several."
        )
    target = _called_from(out)
    if target.is_dir() or len(pictures) > 1:
        files = [target / name for name in names]
    elif target.suffix.lower() != ".png":
        raise UserError(
            f"--out {out}: pictures are written as PNG: name a file that ends in .png, or a folder."
        )
    else:
        files = [target]
    for file, picture in zip(files, pictures, strict=True):
        atomic.write_bytes(file, postprocess.png(picture))
    return files


def _tell_written(files: list[Path], asked: Pipeline, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_head(asked) | {"files": [str(file) for file in files]}, indent=2))
        return
    for file in files:
        typer.echo(file)


def _head(asked: Pipeline) -> dict[str, Any]:
    description = asked.source.description
    return {"name": description["name"], "version": asked.source.version, "task": description["task"]}
