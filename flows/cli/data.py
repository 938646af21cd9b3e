"""``darkroom data``: takes a user's images in, and tries and keeps the expectations of a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from data import spec

from data.errors import UserError, nearest

app = typer.Typer(help="Add data sets and check what must hold of them.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]
NoCoco = Annotated[
    bool, typer.Option("--no-coco", help="Leave out COCO's JSON that is found in or beside the folder.")
]
Name = Annotated[str, typer.Argument(help="A data set: a folder of data/.")]


@app.command()
def add(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A folder of images: class folders, metadata.jsonl, metadata.csv, or COCO's JSON."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the data set.")],
    image_size: Annotated[
        int | None, typer.Option(help="Sides of the images that models see, in pixels.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="A share, as validation=0.2; may be repeated.")
    ] = None,
    coco: Annotated[
        list[Path] | None,
        typer.Option(help="COCO's JSON of the images, when several are there; may be repeated."),
    ] = None,
    no_coco: NoCoco = False,
    text: Annotated[
        str | None,
        typer.Option(help="What `text` of the metadata is: transcripts, written in the image, or captions."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a folder of images as a data set, or record how the folder is now. The folder is not changed."""
    from components.datasets import add as add_dataset
    from data.sources.listing import listed
    from flows.workspace.project import CALLED_FROM

    shares = dict(_share(text) for text in split or [])
    files = tuple(CALLED_FROM / file for file in coco or [])
    added = add_dataset.add(
        CALLED_FROM / folder, name, image_size, shares, files, text, find_coco=not no_coco
    )
    if as_json:
        typer.echo(json.dumps(vars(added), sort_keys=True))
        return
    typer.echo(f"{name}: {added.examples:,} images")
    for title, counts in (("classes", added.classes), ("splits", added.splits)):
        shown = [f"{key or '(none)'} {count:,}" for key, count in list(counts.items())[:20]]
        typer.echo(f"  {title}: {', '.join(shown)}{', ...' if len(counts) > 20 else ''}")
    for note in added.notes:
        typer.echo(f"  {note}")
    if added.left_out:
        typer.echo(f"  {listed(added.left_out)}")
    typer.echo(f"Next: darkroom data {'check' if _suite(name).exists() else 'infer'} {name}")


@app.command("challenge")
def add_challenge_set(
    name: Name,
    challenge_set: Annotated[str, typer.Argument(help="Name of the challenge set.")],
    folder: Annotated[Path, typer.Argument(help="A folder of images, labelled as those of the data set.")],
    column: Annotated[
        str | None, typer.Option(help="Of the folder's metadata: there is a set for each of its values.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a folder of images that models are measured on and never learn from, or record how it is now."""
    from components.datasets import add_challenge_set as challenge_sets
    from flows.workspace.project import CALLED_FROM

    counts = challenge_sets.add(name, challenge_set, CALLED_FROM / folder, column)
    told = f"{name}: challenge set {challenge_set}: {sum(counts.values()):,} images"
    _say(as_json, {"classes": counts}, f"{told}. Next: darkroom run")


@app.command()
def infer(name: Name, as_json: Json = False) -> None:
    """Write suite.yaml: what must hold of the data set, inferred from how it is now. Edit it after that."""
    from components.validation import infer as infer_suite

    rows, settings = _read(name)
    infer_suite.infer(name, rows, settings.splits, _suite(name))
    _say(as_json, {"suite": str(_suite(name))}, f"{_suite(name)}: written. Next: darkroom data check {name}")


@app.command()
def accept(name: Name, as_json: Json = False) -> None:
    """Make the data as they are now the reference for drift. Nothing else in suite.yaml changes."""
    from components.validation import infer as infer_suite
    from components.validation import suite

    suite.load(_suite(name))
    rows, _ = _read(name)
    infer_suite.accept(rows, _suite(name))
    _say(
        as_json,
        {"suite": str(_suite(name))},
        f"{_suite(name)}: reference is now of these {len(rows):,} examples.",
    )


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A data set, or any folder of images.")],
    no_coco: NoCoco = False,
    as_json: Json = False,
) -> None:
    """Check the expectations on the data as they are now; change nothing. Exit status 2 when one fails."""
    rows, settings = _read(name, find_coco=not no_coco)
    from components import validate  # Slow to import, and of no use for a name that is wrong.
    from components.datasets import annotations as annotated
    from components.datasets import listing
    from components.validation import suite
    from data.sources.listing import listed

    own = suite.load(_suite(name)) if _is_dataset(name) else suite.Suite()
    outcomes = validate.check(name, rows, own, settings.splits, docs=None)
    coco = settings.objects.coco if settings.objects else ()
    left_out: dict[str, int] = {}
    if settings.source == "imagefolder":
        used = [*rows["id"], *(rows["input_source"].dropna() if "input_source" in rows else ())]
        left_out = listing.left_out(settings.folder, used, coco)
    success = all(outcome.success for outcome in outcomes)
    if as_json:
        found = [validate.describe(outcome) for outcome in outcomes]
        values = {"dataset": name, "success": success, "expectations": found, "left_out": left_out}
        typer.echo(json.dumps(values, sort_keys=True))
        raise typer.Exit(0 if success else 2)
    if coco and not _is_dataset(name):
        typer.echo(f"{name}: {annotated.told(settings.folder, coco)}")
    if left_out:
        typer.echo(f"{name}: {listed(left_out)}")
    if not success:
        raise UserError(
            f"{name}: {len(rows):,} examples; not all is as expected.\n{validate.explain(name, outcomes)}"
        )
    typer.echo(f"{name}: {len(rows):,} examples; all {len(outcomes)} expectations hold.")


def _suite(name: str) -> Path:
    from components.project.layout import suite_file

    return suite_file(name)


def _is_dataset(name: str) -> bool:
    from components.project.layout import dataset_file

    return dataset_file(name).exists()


def _read(name: str, *, find_coco: bool = True) -> tuple[pd.DataFrame, spec.DatasetSpec]:
    """Return the manifest of a data set or folder as its source is now, and its settings."""
    import tempfile

    from components import ingest
    from components.datasets import add as add_dataset
    from components.datasets import annotations as annotated
    from components.datasets import manifest
    from components.project.layout import dataset_file
    from data import spec
    from data.sources import imagefolder
    from data.sources.listing import scan
    from flows.workspace.project import CALLED_FROM

    if _is_dataset(name):
        if not find_coco:
            raise UserError(f"--no-coco: is for folders; {dataset_file(name)} says what of {name} is read.")
        settings = spec.load(dataset_file(name))
    elif (folder := (CALLED_FROM / name).resolve()).is_dir():
        image = spec.ImageSpec(height=2, width=2, channels=3)  # Nothing is prepared here.
        objects = annotated.look(folder, find_coco=find_coco)
        coco = objects.coco if objects else ()
        splits = {"by": add_dataset.rule(imagefolder.load(folder, scan(folder, coco), coco))}
        settings = spec.DatasetSpec(
            source="imagefolder", folder=folder, image=image, objects=objects, splits=splits
        )
    else:
        known = [file.parent.name for file in Path("data").glob("*/dataset.yaml")]
        raise UserError(f"{name}: no data set and no folder of that name.{nearest(name, known)}")
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        ingest.write(name, settings, Path(folder))
        return manifest.read(Path(folder)), settings


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    if name not in ("validation", "test"):
        raise UserError(f"--split {text!r}: no split {name!r}.{nearest(name, ['validation', 'test'])}")
    try:
        return name, float(share)
    except ValueError:
        raise UserError(
            f"--split {text!r}: {share!r} is no number. For example: --split {name}=0.2"
        ) from None


def _say(as_json: bool, values: dict, sentence: str) -> None:
    typer.echo(json.dumps(values, sort_keys=True) if as_json else sentence)
