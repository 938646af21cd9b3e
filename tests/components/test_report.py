"""The report, over a real workspace with a real registry: what it shows, and that it shows well."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components import gate, register, report
from components.datasets import slices
from components.datasets.slices import Slices
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from tests import needs
from tests.components import workspace

VOID = {"meta", "img", "br", "link", "input", "hr"}
GATE = {"thresholds": {"accuracy": {"at_least": 0.9}}, "max_latency_ms": 10_000.0}
ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """A parsed page: its elements with their attributes, and its text; every tag is closed in place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute is given twice: {tag} {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    def attributes(self, tag: str, attribute: str) -> list[str]:
        return [
            attributes[attribute]
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def template(sqlite_template, tmp_path_factory) -> Path:
    """One model that is champion, one whose second version was refused, and one that was never trained."""
    folder = tmp_path_factory.mktemp("report")
    store = folder / ".darkroom" / "mlflow" / "mlflow.db"
    store.parent.mkdir(parents=True)
    shutil.copy(sqlite_template, store)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        workspace.make(folder)
        workspace.write_params({"good": GATE, "worse": GATE}, names=("good", "worse", "later"))
        ids = PreparedData(layout.prepared(workspace.DATASET)).test.ids
        members = np.arange(len(ids))[:, None] < [[5, len(ids), 100]]
        rules = {"few": "width below 3", "all": "width at least 3", "dark": "brightness at most 0.2"}
        slices.write(layout.slices_file(workspace.DATASET), Slices(ids, rules, members))
        for name, noises in {"good": [0.0], "worse": [0.0, 0.4]}.items():
            for noise in noises:
                finish(name, noise)
                register.run(name)
                gate.run(name)
    return folder


@pytest.fixture
def trained(template, tmp_path, monkeypatch) -> Path:
    """A copy of the template as the working directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish(name: str, noise: float) -> None:
    """Export a model and add what the workspace leaves out: checkpoint, pictures, a full parity report."""
    workspace.export(name, noise=noise)
    spec = json.loads((layout.prepared(workspace.DATASET) / "spec.json").read_text())
    best = {"metric": "validation_loss", "value": 0.25, "step": 2}
    checkpoint = {
        "family": "logreg",
        "config": {"widths": [8, 16]},
        "spec": spec,
        "seed": 3,
        "steps": 2,
        "best": best,
    }
    atomic.write_json(layout.trained(name) / "checkpoint.json", checkpoint)
    plots = layout.evaluated(name) / "plots"
    for place, (stem, size) in enumerate(
        {"confusion": (300, 280), "learning_curves": (900, 300), "other_one": (9, 9)}.items()
    ):
        pixels = np.random.default_rng(place).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
        Image.fromarray(pixels).save(plots / f"{stem}.png")
    atomic.write_text(plots / "confusion.csv", "actual,predicted\nbar,bar\nbar,dot\nring,ring\n")
    file = layout.bundle(name) / "bundle.json"
    description = json.loads(file.read_text())
    tolerance = {"absolute": 1e-4, "relative": 1e-5}
    compared = {"probabilities": {"difference": 1.5e-7, "tolerance": tolerance}}
    metrics = {
        key: {"pytorch": m["value"], "onnxruntime": m["value"]} for key, m in description["metrics"].items()
    }
    description["parity"] = {"batches": {"1": compared, "7": compared}, "examples": {}, "metrics": metrics}
    atomic.write_json(file, description)


def written() -> tuple[str, Page]:
    html = report.run().read_text()
    return html, Page(html)


def section(html: str, name: str) -> str:
    """Return the part of the page that is about one model."""
    (found,) = re.findall(
        rf'<section class="model"[^>]*>\s*<header>\s*<h2[^>]*>{re.escape(name)}</h2>.*?</section>', html, re.S
    )
    return found


def test_page_is_well_formed_and_accessible(trained):
    html, page = written()
    assert html.startswith("<!DOCTYPE html>")
    assert page.attributes("html", "lang") == ["en"]
    assert "width=device-width, initial-scale=1" in page.attributes("meta", "content")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {name for names in page.attributes("section", "aria-labelledby") for name in names.split()} <= set(
        ids
    )
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert pictures and all(len(picture["alt"]) > 10 for picture in pictures)
    assert not {"script", "iframe", "link", "object"} & {tag for tag, _ in page.elements}


def test_page_refers_to_nothing_outside(trained):
    html, page = written()
    assert all(source.startswith("data:image/png;base64,") for source in page.attributes("img", "src"))
    links = page.attributes("a", "href")
    assert {link for link in links if not link.startswith("#")} == set()
    assert {link[1:] for link in links} <= {attributes.get("id") for _, attributes in page.elements}
    assert "url(" not in html and "@import" not in html


def test_data_docs_are_linked_relative_to_the_page(trained):
    atomic.write_text(layout.data_docs(workspace.DATASET) / "index.html", "<!DOCTYPE html>")
    _, page = written()
    links = {link for link in page.attributes("a", "href") if not link.startswith("#")}
    (link,) = links
    assert (layout.REPORT.parent / link).samefile(layout.data_docs(workspace.DATASET) / "index.html")


def test_every_picture_is_embedded(trained):
    _, page = written()
    embedded = {base64.b64decode(source.partition(",")[2]) for source in page.attributes("img", "src")}
    there = [file.read_bytes() for file in Path("artifacts").glob("models/*/evaluate/plots/*.png")]
    assert len(there) == 6
    assert embedded == set(there)
    alts = page.attributes("img", "alt")
    assert any(
        "2 of 3 test examples are right; the most frequent mistake is bar taken for dot" in alt
        for alt in alts
    )
    assert any("loss from 0.9 to 0.5" in alt for alt in alts)


def test_numbers_are_those_of_the_metrics_file(trained):
    html, _ = written()
    for name in ("good", "worse"):
        measured = json.loads((layout.evaluated(name) / "metrics.json").read_text())
        shown = {float(value) for value in re.findall(r'<data value="([^"]+)">', section(html, name))}
        for metric in measured["metrics"].values():
            assert {metric["value"], metric["low"], metric["high"]} <= shown
        for row in measured["per_class"]:
            assert {value for value in row.values() if isinstance(value, float)} <= shown
        summary = html.partition('<section class="model"')[0]
        primary = measured["metrics"][measured["primary"]]
        assert f'<data value="{primary["value"]!r}">{primary["value"]:.4f}</data>' in summary


def test_gate_is_shown_with_its_evidence(trained):
    html, _ = written()
    good, worse = (Page(section(html, name)).text for name in ("good", "worse"))
    assert "✓ promoted version 1" in good and "no champion yet to compare with" in good
    assert "version 2 refused" in worse and "against champion version 1" in worse
    decision = gate.run("worse")
    assert decision.verdict == "refused"
    for check in decision.evidence["checks"].values():
        for finding in (*check["good"], *check["bad"]):
            assert finding in worse
    overall = decision.evidence["checks"]["comparison"]["evidence"]["differences"][0]
    assert f'<data value="{overall["low"]!r}">' in section(html, "worse")
    assert "History: 3 entries" in worse
    assert "Compared with champion version 1" in worse and "Compared with" not in good


def test_slices_are_shown_with_what_the_gate_found(trained):
    html, _ = written()
    assert "By slice" not in html
    rows = [
        {"slice": "few", "rule": "width below 3", "examples": 5, "value": 0.0, "low": None, "high": None},
        {
            "slice": "all",
            "rule": "width at least 3",
            "examples": 300,
            "value": 0.75,
            "low": 0.5,
            "high": 0.875,
        },
        {
            "slice": "dark",
            "rule": "brightness at most 0.2",
            "examples": 100,
            "value": 0.5,
            "low": 0.25,
            "high": 0.625,
        },
    ]
    for name in ("good", "worse"):
        file = layout.evaluated(name) / "metrics.json"
        measured = json.loads(file.read_text())
        atomic.write_json(
            file, measured | {"slices": {"metric": "accuracy", "better": "higher", "rows": rows}}
        )
    html, _ = written()
    good, worse = (section(html, name) for name in ("good", "worse"))
    assert good.index("width below") < good.index("width at least") < good.index("brightness at most")
    assert '<data value="0.625">' in good
    evidence = gate.run("worse").evidence["checks"]["slices"]["evidence"]["slices"]
    (dark,) = [row for row in evidence if row["slice"] == "dark"]
    assert f'<data value="{dark["difference"]["high"]!r}">' in worse and not dark["holds"]


def test_challenge_sets_are_shown_with_what_is_left_out(trained):
    file = layout.evaluated("good") / "metrics.json"
    row = {
        "slice": "night=fog",
        "rule": "weather is fog",
        "examples": 40,
        "value": 0.5,
        "low": 0.3125,
        "high": 0.6,
    }
    found = {"metric": "accuracy", "better": "higher", "rows": [row], "left_out": {"night": 3, "day": 0}}
    atomic.write_json(file, json.loads(file.read_text()) | {"challenge_sets": found})
    good = section(written()[0], "good")
    assert "By challenge set" in good and '<data value="0.3125">' in good and "weather is fog" in good
    assert "3 of the images of night" in good and "images of day" not in good


def test_hashes_and_commands_are_told(trained):
    html, _ = written()
    good = Page(section(html, "good")).text
    description = json.loads((layout.bundle("good") / "bundle.json").read_text())
    sha256 = register.run("good").bundle_sha256
    for value in (
        sha256,
        description["data"],
        description["params"],
        description["code"],
        *description["sha256"].values(),
    ):
        assert value in good
    assert "dvc repro -f -s train@good" in good and f"# {sha256}" in good
    assert (
        ROOT / "docs/examples/read_bundle.py"
    ).exists() and "docs/examples/read_bundle.py artifacts/bundles/good" in good


@pytest.mark.parametrize(
    ("removed", "standing", "told"),
    [
        ("artifacts/models/good", "not trained yet", "Not trained yet: darkroom run good"),
        ("artifacts/models/good/evaluate", "not evaluated yet", "Not evaluated yet: dvc repro evaluate@good"),
        ("artifacts/bundles/good", "not exported yet", "Not exported yet: dvc repro export@good"),
        (".darkroom/mlflow/mlflow.db", "not registered yet", "Not decided yet: darkroom run good"),
        ("artifacts/data/shapes/prepared", "champion", "Not prepared yet: dvc repro prepare@shapes"),
        ("artifacts/data/shapes/validation.json", "champion", "Validation not validated yet"),
    ],
)
def test_what_is_missing_is_told(trained, removed, standing, told, sqlite_template):
    if removed == ".darkroom/mlflow/mlflow.db":
        shutil.copy(sqlite_template, removed)
    elif Path(removed).is_dir():
        shutil.rmtree(removed)
    else:
        Path(removed).unlink()
    html, _ = written()
    text = Page(section(html, "good")).text
    assert text.startswith(f"good {standing} ")
    assert told in text


def test_model_that_was_never_trained_is_listed(trained):
    html, page = written()
    assert "Not trained yet: darkroom run later" in page.text
    assert 'id="model-later"' not in html


def test_links_to_a_model_stay_whatever_others_there_are(trained):
    html, _ = written()
    assert 'href="#model-good"' in html and '<section class="model" id="model-good"' in html


def test_no_model_at_all_is_told(sqlite_project):
    atomic.write_text(Path("params.yaml"), "datasets: {}\nmodels: {}\n")
    assert "params.yaml names no models yet" in written()[1].text


def test_things_that_do_not_belong_together_are_told(trained):
    spec = json.loads((layout.prepared(workspace.DATASET) / "spec.json").read_text())
    atomic.write_json(layout.prepared(workspace.DATASET) / "spec.json", spec | {"sha256": "0" * 64})
    metrics = json.loads((layout.evaluated("good") / "metrics.json").read_text())
    metrics["metrics"]["accuracy"]["value"] = 0.5
    atomic.write_json(layout.evaluated("good") / "metrics.json", metrics)
    workspace.write_params({"good": GATE | {"margin": 0.5}}, names=("good",))
    text = written()[1].text
    assert "Trained on an older state of shapes" in text
    assert "The bundle was exported before these metrics" in text
    assert "rules in params.yaml were changed after this decision" in text
    assert "at least 0.9 ✗ not met" in text


def test_alias_that_was_moved_by_hand_is_told(trained):
    from components.registry import mlflow_store

    assert "moved by hand" not in written()[1].text
    mlflow_store.client().set_registered_model_alias("worse", "champion", "2")
    assert "The champion alias was moved by hand" in written()[1].text


def test_failed_validation_is_told_with_what_failed(trained):
    expectation = {"says": "every <file> can be read", "type": "expect", "success": False, "count": 1234}
    verdict = {"success": False, "expectations": [expectation]}
    atomic.write_json(layout.failed_validation_file(workspace.DATASET), verdict)
    text = written()[1].text
    assert "✗ failed 0 of 1 expectations hold" in text
    assert "✗ fails every <file> can be read: 1,234 break it" in text


def test_hostile_names_are_text(trained):
    hostile = "<script>alert('1')</script>"
    metrics = json.loads((layout.evaluated("good") / "metrics.json").read_text())
    metrics["per_class"][0]["class"] = hostile
    metrics["metrics"]['"><img onerror=x>'] = metrics["metrics"]["accuracy"]
    atomic.write_json(layout.evaluated("good") / "metrics.json", metrics)
    spec = json.loads((layout.prepared(workspace.DATASET) / "spec.json").read_text())
    atomic.write_json(
        layout.prepared(workspace.DATASET) / "spec.json", spec | {"classes": [hostile, "&lt;", "]]>"]}
    )
    (layout.evaluated("good") / "plots" / "other_one.png").rename(
        layout.evaluated("good") / "plots" / '"a<b>&.png'
    )
    html, page = written()
    assert "<script" not in html and "<img onerror" not in html
    assert page.text.count(hostile) == 3
    assert '"><img onerror=x>' in page.text
    assert 'Picture of "a<b>&.' in page.attributes("img", "alt")


def test_no_path_of_this_machine_is_told(trained):
    file = layout.evaluated("good") / "metrics.json"
    assert str(Path.cwd()) not in written()[0]
    metrics = json.loads(file.read_text())
    metrics["per_class"][0]["class"] = f"{Path.cwd()}/artifacts/x"
    atomic.write_json(file, metrics)
    html, _ = written()
    assert str(Path.cwd()) not in html and "artifacts/x" in html


def test_damaged_artifact_is_named_and_the_old_page_stays(trained):
    before = report.run().read_bytes()
    atomic.write_text(layout.evaluated("good") / "metrics.json", "{")
    with pytest.raises(UserError, match=r"artifacts/models/good/evaluate/metrics\.json: is damaged"):
        report.run()
    assert layout.REPORT.read_bytes() == before
    assert [file.name for file in layout.REPORT.parent.iterdir() if file.is_file()] == ["report.html"]


def test_command_writes_the_page_without_pytorch_and_matplotlib(trained):
    program = (
        "import sys\nfrom components import report\nprint(report.run())\n"
        "print(sorted({'torch', 'matplotlib', 'great_expectations', 'prefect'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["artifacts/report.html", "[]"], done.stderr


def test_nothing_is_wider_than_the_screen(trained):
    """In a browser, as on a phone and on a screen, with all unfolded: the page never scrolls sideways."""
    chromium = needs.installed("chromium", "google-chrome", package="chromium")
    html = escape(report.run().read_text())
    # A window cannot be as narrow as a phone, a frame can.
    frames = "".join(
        f'<iframe width="{width}" height="800" srcdoc="{html}"></iframe>' for width in (390, 1440)
    )
    measure = """<pre id="widths"></pre><script>onload = () => {
        const frames = [...document.querySelectorAll("iframe")];
        document.getElementById("widths").textContent = JSON.stringify(frames.map(frame => {
            const page = frame.contentDocument;
            page.querySelectorAll("details").forEach(part => part.open = true);
            const boxes = [...page.querySelectorAll(".scroll")];
            return [page.scrollingElement.scrollWidth, frame.contentWindow.innerWidth,
                    boxes.filter(box => box.scrollWidth > box.clientWidth).length, page.images.length,
                    [...page.images].filter(image => image.naturalWidth > 0).length];
        }));
    }</script>"""
    Path("frames.html").write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><style>iframe {{ border: 0 }}</style>{frames}{measure}'
    )
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={profile}", "--dump-dom", Path("frames.html").absolute().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (found,) = re.findall(r'<pre id="widths">(.*?)</pre>', done.stdout) or [done.stderr]
    phone, screen = json.loads(found)
    for width, inner, _, images, loaded in (phone, screen):
        assert width <= inner
        assert images == loaded == 6
    assert (phone[1], screen[1]) == (390, 1440)
    assert phone[2] > 0 and screen[2] == 0, (
        "tables scroll inside their boxes on a phone, and need not on a screen"
    )


def test_generative_models_stand_in_one_table_and_other_judges_are_left_out(measured, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = written()[1].text
    table = text.partition("Generative models of shapes")[2].partition("What another judge measured")[0]
    for name in ("shapes-gmm", "shapes-vae", "shapes-vae-by-class", "bits per dim", "frechet distance"):
        assert name in table
    assert "another judge" not in table and "measured by another judge" not in text
    workspace.judge(seed=1)
    text = written()[1].text
    table = text.partition("Generative models of shapes")[2].partition("What another judge measured")[0]
    assert "another judge" in table and "measured by another judge than the present one" in text
