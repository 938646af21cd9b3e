"""The documents: links lead somewhere, named files exist, and commands are the program's."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from flows.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:flows|components|models|data|tests|docs|deploy|benchmarks)/[\w/.-]+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
COMMAND = re.compile(r"(?:^|`|python -m flows\.cli\.app )\s*(darkroom [^`\n]+)", re.MULTILINE)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))


@cache
def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as Git's hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@every_document
def test_links_lead_somewhere(document):
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (document.parent / unquote(path)).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@every_document
def test_named_files_exist(document):
    for path in PATH.findall(FENCE.sub("", document.read_text())):
        assert (ROOT / path).exists(), path


@every_document
def test_named_tests_exist(document):
    for file, name in TEST.findall(document.read_text()):
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


@every_document
def test_commands_are_the_program_s(document):
    """Each begins with a command that there is, and has no option that the command does not know."""
    for line in COMMAND.findall(document.read_text()):
        words = shlex.split(line.partition(" #")[0].partition(" ...")[0])[1:]
        command = typer.main.get_command(app.whole())
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert options <= known | {"--help"}, line
