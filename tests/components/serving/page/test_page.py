"""The page in a real browser: drawn on by mouse, finger and keys; as wide as a phone and a screen; light and dark."""

from __future__ import annotations

import json
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from components.bundles.bundle import Bundle
from components.serving import page
from components.serving.http import tokens
from tests import needs
from tests.components.serving import browser, bundles
from tests.components.serving.conftest import KINDS
from tests.components.serving.server import Server

HERE = Path(page.__file__).parent
SET = """(([selector, value, kind]) => {{
    const one = document.querySelector(selector);
    one.value = value;
    one.dispatchEvent(new Event(kind));
}})({})"""
INKED = """new Uint8Array(document.querySelector("#board").getContext("2d").getImageData(0, 0, 320, 320).data.buffer)
    .filter((value, k) => k % 4 == 0 && value).length"""
ANSWERED = "document.querySelectorAll('#answers .first').length >= 2"


@pytest.fixture(scope="module")
def chromium():
    found = needs.installed("chromium", "google-chrome", package="chromium")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        browser.started(found, Path(profile)) as started,
    ):
        yield started


@pytest.fixture
def tab(chromium, served):
    """The page at the size of a screen, with the first example answered."""
    chromium.open("about:blank")  # what the page before still asks for is over then
    chromium.complaints.clear()
    chromium.requested.clear()
    chromium.size(1440, 900)
    chromium.open(f"http://127.0.0.1:{served.port}/")
    chromium.until(ANSWERED)
    yield chromium
    assert not chromium.complaints


def place(tab, selector: str, u: float, v: float) -> tuple[float, float]:
    """Return where a point of an element, in [0, 1] of its sides, is in the window."""
    script = f"(box => [box.x, box.y, box.width, box.height])(document.querySelector('{selector}')"
    x, y, width, height = tab.run(f"{script}.getBoundingClientRect())")
    return x + u * width, y + v * height


def said(tab) -> list[str]:
    return tab.run("[...document.querySelectorAll('.said')].map(one => one.innerText.trim())")


def test_every_champion_has_a_card(tab):
    names = tab.run("[...document.querySelectorAll('.card h3')].map(one => one.innerText)")
    assert names == sorted(f"shapes-{kind}" for kind in KINDS)
    card = tab.run("document.querySelector('#card-shapes-classification').innerText")
    for told in ("version 1", "classification by cnn on shapes", "0.900", "[0.800, 1.000]", "d" * 12):
        assert told in card
    left, width = tab.run(
        "(card => [card.querySelector('.dot').style.left, card.querySelector('.band').style.width])"
        "(document.querySelector('#card-shapes-classification'))"
    )
    assert (float(left[:-1]), float(width[:-1])) == pytest.approx((90, 20))


def test_a_drawing_is_answered_while_it_is_drawn(tab):
    tab.run("document.querySelector('#clear').click()")
    assert set(said(tab)) == {"–"}
    points = [place(tab, "#board", 0.2 + 0.1 * k, 0.5) for k in range(6)]
    tab.mouse(*points)
    tab.until(f"{ANSWERED} && document.querySelector('#verdict').innerText")
    assert tab.run("document.querySelector('#verdict').innerText") == "All 2 say bar"
    # A line across the middle reaches the frame on both sides, until that is switched off: less light, so less likely.
    likelihood = "document.querySelector('.note:not(:empty)').innerText"
    fitted = tab.run(likelihood)
    tab.run("document.querySelector('#fit').click()")
    tab.until(f"{likelihood} !== '{fitted}'")


def test_fingers_and_keys_draw_too(chromium, served):
    chromium.size(390, 844, phone=True)
    chromium.open(f"http://127.0.0.1:{served.port}/")
    chromium.until(ANSWERED)
    chromium.run("document.querySelector('#clear').click()")
    assert chromium.run(INKED) == 0
    chromium.touch(*[place(chromium, "#board", 0.3 + 0.1 * k, 0.4) for k in range(4)])
    chromium.until(f"{INKED} > 1000")
    chromium.run("document.querySelector('#board').focus()")
    chromium.key("Delete", 46)
    assert chromium.run(INKED) == 0
    chromium.key(" ", 32)
    for _ in range(5):
        chromium.key("ArrowRight", 39)
    assert chromium.run(INKED) > 1000
    chromium.until(ANSWERED)


def test_a_dropped_picture_is_sent_as_it_is_and_a_bad_one_is_refused(tab):
    drop = """(async bytes => {
        const file = new File([new Uint8Array(bytes)], "a.png", { type: "image/png" });
        const transfer = new DataTransfer();
        transfer.items.add(file);
        const dropped = new DragEvent("drop", { dataTransfer: transfer, cancelable: true });
        document.querySelector("#drop").dispatchEvent(dropped);
    })"""
    tab.run(f"{drop}([1, 2, 3])")
    tab.until("document.querySelectorAll('.said.error').length > 0")
    assert "not a JPEG, PNG or WebP image" in said(tab)[0]
    # The refusal is a failed request to the browser, which it notes.
    assert all("400" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_boxes_masks_text_and_pictures_are_shown(tab):
    row = "document.querySelector(`.answer:has(a[href='#card-shapes-{}'])`)"
    tab.until("document.querySelectorAll('#answers canvas').length === 2")
    color = row + ".querySelector('canvas').getContext('2d').getImageData({}, {}, 1, 1).data.join()"
    # The left edge of the second object, which begins at a quarter of the width and at half of the height.
    assert tab.run(color.format("detection", 96, 288)) == "255,162,148,255"
    assert tab.run(row.format("detection") + ".querySelector('.said').innerText") == "2 objects"
    assert tab.run(row.format("detection") + ".querySelector('.note').innerText") == "dot 75.0 %, bar 50.0 %"
    grey = "document.querySelector('#board').getContext('2d').getImageData({}, {}, 1, 1).data[0]"
    masked = [tab.run(color.format("segmentation", 48 + 96 * x, 48)) for x in range(4)]
    pixels = [tab.run(grey.format(40 + 80 * x, 40)) for x in range(4)]
    for shown, pixel in zip(masked, pixels, strict=True):
        assert (shown == f"{pixel},{pixel},{pixel},255") == (pixel % 4 == 0), (
            "only the ground is left as it is"
        )
    text = tab.run(row.format("transcription") + ".querySelector('.said').innerText")
    assert text.isdigit()
    source = tab.run(row.format("translation") + ".querySelector('img').src")
    assert source.startswith("data:image/png")
    # The browser's advice on this test's own looking.
    assert all("willReadFrequently" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_a_prompt_is_drawn_by_what_is_on_the_board(tab, served):
    row = "document.querySelector('#answers a[href$=controlled_generation]').closest('.answer')"
    picture = f"{row}.querySelector('.spectrum img')?.src"
    tab.until(f"Boolean({picture})")
    assert all(word in tab.run(f"{row}.querySelector('.told').innerText") for word in bundles.WORDS)
    first = tab.run(picture)
    golden = Bundle.open(served.folder / "shapes-controlled_generation").golden()[0]["prompt"]
    assert tab.run(f"{row}.querySelector('.told input').value") in golden
    type_in = f"""(text => {{ const field = {row}.querySelector('.told input');
        field.value = text; field.dispatchEvent(new Event('input')); }})"""
    tab.run(f"{type_in}('small small ring')")
    tab.until(f"{picture} !== {json.dumps(first)}")
    tab.run(f"{type_in}('small rnig')")
    tab.until(f"{row}.querySelector('.said').innerText.includes('rnig')")
    tab.run(f"{type_in}('small dot')")
    tab.until(f"{row}.querySelector('.said').innerText === ''")
    # What was refused is the browser's to complain of.
    assert all("400" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_generators_draw_for_a_seed_and_a_class(tab):
    images = "[...document.querySelectorAll('#drawn .images')].map(one => [...one.children].map(image => image.src))"
    tab.until(f"{images}.every(one => one.length === 16)")
    first = json.dumps(tab.run(images), separators=(",", ":"))
    tab.run(SET.format('["#seed", 7, "input"]'))
    tab.until(f"JSON.stringify({images}) !== {json.dumps(first)}")
    assert tab.run("document.querySelector('#seed-number').value") == "7"
    tab.run(SET.format('["#count", 4, "change"]'))
    tab.until(f"{images}.every(one => one.length === 4)")
    assert tab.run("document.querySelector('#label').length") == 4


PAINTED = "[...document.querySelectorAll('#said .images img')].map(image => image.src)"


def paint(tab, prompt: str) -> None:
    tab.run(SET.format(json.dumps(["#prompt", prompt, "input"])))


def test_a_prompt_is_drawn_from_a_seed(tab):
    tab.until(f"{PAINTED}.length === 4")
    assert tab.run("document.querySelector('#prompt').value")  # an example
    paint(tab, "A big, RING")
    told = "a big ring, 4 times, by shapes-text_to_image from seed 0"
    tab.until(f"document.querySelector('#said .images').ariaLabel === '{told}'")
    grey = """(async () => {
        const image = document.querySelector("#said img");
        await image.decode();
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        pen.drawImage(image, 0, 0);
        return pen.getImageData(0, 0, 1, 1).data[0];
    })()"""

    def expected(seed: int) -> int:
        given = {"prompt": np.array(["a big ring"], dtype=object), "seed": np.array([seed])}
        return int(bundles.answers("text_to_image", given)["image"][0, 0, 0, 0])

    assert tab.run(grey) == expected(0)
    tab.run(SET.format('["#say-seed", 7, "input"]'))
    tab.until("document.querySelector('#said .images').ariaLabel.endsWith('seed 7')")
    assert tab.run(grey) == expected(7)
    tab.run(SET.format('["#say-count", 9, "change"]'))
    tab.until(f"{PAINTED}.length === 9")


def test_words_are_offered_and_unknown_ones_told(tab):
    tab.until(f"{PAINTED}.length === 4")
    chips = "[...document.querySelectorAll('#words button')].map(one => one.innerText)"
    assert tab.run(chips) == bundles.WORDS
    told = "document.querySelector('#prompt-told').innerText"
    before = tab.run(PAINTED)
    paint(tab, "a b")
    assert "do not know “b”" in tab.run(told) and tab.run(PAINTED) == before
    assert tab.run("[...document.querySelectorAll('#words .fits')].map(one => one.innerText)") == [
        "bar",
        "big",
    ]
    paint(tab, "a a a a")
    assert "at most 3 words" in tab.run(told)
    # By keys: the words are one stop, arrows go on, and what was begun is finished.
    paint(tab, "small ri")
    tab.run("document.querySelector('#words button').focus()")
    for _ in range(2):
        tab.key("ArrowLeft", 37)
    tab.key(" ", 32)
    assert tab.run("document.querySelector('#prompt').value") == "small ring "
    assert tab.run(told) == ""
    tab.until("document.querySelector('#said .images').ariaLabel.startsWith('small ring,')")


def test_an_example_of_a_prompt_is_taken_by_a_finger(chromium, served):
    chromium.size(390, 844, phone=True)
    chromium.open(f"http://127.0.0.1:{served.port}/")
    chromium.until("document.querySelectorAll('#prompts button').length === 4")
    button = "#prompts li:last-child button"
    prompt = chromium.run(f"document.querySelector('{button}').innerText").strip()
    taken = f"document.querySelector('#prompt').value === {json.dumps(prompt)}"
    for _ in range(20):  # a finger misses what moves: answers above it that are still to come push it down
        chromium.run(
            "document.querySelector('#prompts').scrollIntoView({behavior: 'instant', block: 'center'})"
        )
        chromium.touch(place(chromium, button, 0.5, 0.5))
        if chromium.run(taken):
            break
        time.sleep(0.2)
    assert chromium.run(taken)


def test_a_face_follows_its_points(tab):
    tab.until("document.querySelector('#faces .images img')?.src")
    assert tab.run("document.querySelectorAll('#points circle').length") == 5
    at = "document.querySelector('#points circle').getAttribute('cx')"
    before = float(tab.run(at))
    tab.run("document.querySelector('#points circle').focus()")
    tab.key("ArrowRight", 39)
    assert float(tab.run(at)) == pytest.approx(min(100, before + 1))


def test_a_token_is_asked_for_where_the_server_has_some(chromium, tmp_path):
    token = tokens.make(tmp_path / "tokens.json", "ada", "read")
    bundles.write(tmp_path / "m", name="m")
    settings = {"bundles": {"m": str(tmp_path / "m")}, "tokens": str(tmp_path / "tokens.json")}
    with Server(tmp_path, worker=settings) as server:
        chromium.size(390, 844, phone=True)
        chromium.open(f"http://127.0.0.1:{server.port}/")
        chromium.until("!document.querySelector('#access').hidden && document.querySelector('main').hidden")
        chromium.run(SET.format(json.dumps(["#token", token, "input"])))
        chromium.run("document.querySelector('#access button').click()")
        chromium.until("document.querySelectorAll('#answers .first').length === 1")
        assert chromium.run("document.querySelector('#access').hidden")
        chromium.run("sessionStorage.clear()")


def test_another_version_leaves_the_drawing(chromium, tmp_path):
    bundles.write(tmp_path / "m", name="m")
    with Server(tmp_path, worker={"bundles": {"m": str(tmp_path / "m")}}) as server:
        chromium.size(1440, 900)
        chromium.open(f"http://127.0.0.1:{server.port}/")
        chromium.until("document.querySelectorAll('#answers .first').length === 1")
        chromium.run("document.querySelector('#clear').click()")
        chromium.mouse(place(chromium, "#board", 0.3, 0.3), place(chromium, "#board", 0.6, 0.6))
        drawn = chromium.run(INKED)
        # It looks for other versions every ten seconds, and when one comes back to it.
        chromium.run(
            """(() => {
                const plain = window.fetch;
                window.fetch = async (...given) => {
                    const reply = await plain(...given);
                    if (given[0] !== "/models") return reply;
                    const answer = await reply.json();
                    answer.models[0].version = "2";
                    return new Response(JSON.stringify(answer));
                };
                document.dispatchEvent(new Event("visibilitychange"));
            })()"""
        )
        chromium.until("document.querySelector('.card .badge').textContent === 'version 2'")
        assert chromium.run(INKED) == drawn > 0


def test_nothing_outside_is_asked_and_nothing_else_may_run(tab, served):
    own = (f"http://127.0.0.1:{served.port}/", "data:", "blob:")
    assert [url for url in tab.requested if not url.startswith(own)] == []
    tab.run(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))"
    )
    assert tab.run("window.ran") is None
    assert tab.complaints and all("Content Security Policy" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


@pytest.mark.parametrize(("width", "phone"), [(390, True), (1440, False)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(tab, served, width, phone, dark):
    tab.size(width, 844, phone=phone, dark=dark)
    tab.open(f"http://127.0.0.1:{served.port}/")
    tab.until(ANSWERED)
    assert tab.run("document.scrollingElement.scrollWidth") <= tab.run("innerWidth") <= width
    small = """[...document.querySelectorAll('button, select, input, .button, #datasets label')]
        .filter(one => one.checkVisibility() && !one.closest('.unseen, .check'))
        .filter(one => one.type !== 'range' && one.getBoundingClientRect().height < 40).map(one => one.outerHTML)"""
    assert tab.run(small) == []
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 26)" if dark else "rgb(251, 251, 249)")


def test_everything_that_can_be_used_has_a_name_and_is_reached_by_tab(tab):
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {
        "button",
        "link",
        "textbox",
        "slider",
        "checkbox",
        "combobox",
        "spinbutton",
        "radio",
        "img",
        "image",
    }
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert len(used) > 20
    nameless = [node["role"]["value"] for node in used if not node.get("name", {}).get("value")]
    assert nameless == []
    tab.run("document.activeElement?.blur()")
    reached = set()
    for _ in range(60):
        tab.key("Tab", 9)
        reached.add(tab.run("document.activeElement.id || document.activeElement.tagName"))
    assert {
        "board",
        "clear",
        "file",
        "pen",
        "fit",
        "seed",
        "seed-number",
        "count",
        "label",
        "prompt",
        "say-seed",
    } <= reached


class Tags(HTMLParser):
    """The attributes of a page's elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.attributes.append(dict(attrs))


def test_the_page_is_small_and_names_no_outside_address():
    html = (HERE / "index.html").read_text()
    for attributes in Tags(html).attributes:
        assert not {"style", "onclick", "onload"} & attributes.keys()
        for key in ("src", "href"):
            assert (attributes.get(key) or "/").startswith("/")
    files = [file for file in HERE.iterdir() if file.suffix in (".html", ".css", ".js", ".svg")]
    assert sum(file.stat().st_size for file in files) < 60_000
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text
