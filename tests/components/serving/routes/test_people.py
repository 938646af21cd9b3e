"""The plain endpoints: image files in, JSON or PNG out, and nothing bad from bad files."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import psutil
import pytest
from PIL import Image

from components.bundles.bundle import Bundle
from components.pipelines import postprocess
from tests.components.serving import bundles
from tests.components.serving.conftest import KINDS
from tests.data.test_images import BROKEN_EXIF

JSON = {"Accept": "application/json"}


def picture(mode: str = "L", size: tuple[int, int] = (9, 7), seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    shape = (size[1], size[0], 4)
    return Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8), "RGBA").convert(mode)


def file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


@pytest.fixture
def client(served):
    """A client of :func:`served`, in place of the one of the server for the protocol."""
    client = served.client()
    yield client
    client.close()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "PNG"),
        ("RGB", "JPEG"),
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("RGB", "WEBP"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_a_file_is_answered_as_its_bundle_answers_the_prepared_picture(served, client, mode, kind):
    content = file(picture(mode), kind)
    status, body, _ = client.ask("POST", "/models/shapes-classification/predict", content)
    answer = json.loads(body)
    bundle = Bundle.open(served.folder / "shapes-classification")
    (expected,) = bundle.predict({"image": bundle.prepare_image(Image.open(io.BytesIO(content)))})[
        "probabilities"
    ]
    assert status == 200
    assert (answer["name"], answer["version"], answer["task"]) == (
        "shapes-classification",
        "1",
        "classification",
    )
    scores = [one["score"] for one in answer["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert {one["label"]: one["score"] for one in answer["scores"]} == pytest.approx(
        dict(zip(bundles.CLASSES, expected.tolist(), strict=True))
    )


def test_the_exif_orientation_counts(client):
    image = picture(size=(8, 4))
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    straight = client.ask("POST", "/models/shapes-translation/predict", file(image.rotate(-90, expand=True)))
    tagged = client.ask("POST", "/models/shapes-translation/predict", file(image, exif=turned.tobytes()))
    assert straight[0] == tagged[0] == 200
    np.testing.assert_array_equal(*(np.asarray(Image.open(io.BytesIO(one[1]))) for one in (straight, tagged)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of a block that was cut
def test_a_broken_exif_block_turns_nothing(client):
    path = "/models/shapes-translation/predict"
    sound, broken = (file(picture("RGB", (4, 4)), exif=block) for block in (b"", BROKEN_EXIF))
    assert client.ask("POST", path, broken)[:2] == client.ask("POST", path, sound)[:2]


def test_a_picture_of_16_bits_and_a_clear_one(client):
    path = "/models/shapes-translation/predict"
    narrow = np.asarray(picture(size=(4, 4)))
    wide = file(Image.fromarray(narrow.astype(np.uint16) * 257))
    status, body, _ = client.ask("POST", path, wide)
    assert status == 200
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), narrow)
    _, body, _ = client.ask("POST", path, file(Image.new("LA", (4, 4), (0, 0))))
    assert (np.asarray(Image.open(io.BytesIO(body))) == 255).all()


def test_a_density_tells_the_likelihood(client):
    image = picture(size=(4, 4))
    answer = json.loads(client.ask("POST", "/models/shapes-density/predict", file(image))[1])
    nats = float(np.asarray(image, dtype=np.float64).sum())
    assert answer["log_likelihood"] == pytest.approx(nats)
    assert answer["bits_per_dim"] == pytest.approx(-nats / (16 * np.log(2)))
    assert answer["scores"][0]["score"] == pytest.approx(nats)


def test_a_picture_comes_as_png_and_in_json_where_that_is_accepted(client):
    image = picture(size=(4, 4))
    path = "/models/shapes-translation/predict"
    status, body, headers = client.ask("POST", path, file(image))
    assert (status, headers["content-type"]) == (200, "image/png")
    assert (headers["x-model-name"], headers["x-model-version"]) == ("shapes-translation", "1")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), np.asarray(image))
    told = postprocess.from_json(json.loads(client.ask("POST", path, file(image), JSON)[1]))
    np.testing.assert_array_equal(np.asarray(told["image"]), np.asarray(image))


def test_a_generator_draws_from_a_seed_by_class(client):
    status, body, headers = client.ask("GET", "/models/shapes-conditional/generate?seed=7&count=5&label=ring")
    assert (status, headers["content-type"]) == (200, "image/png")
    sheet = np.asarray(Image.open(io.BytesIO(body)))
    assert sheet.shape == (2 * 4, 3 * 4)
    assert sheet[::4, ::4].ravel().tolist() == [9, 10, 11, 12, 13, 0]  # seed + class + place
    each = json.loads(client.ask("GET", "/models/shapes-generation/generate?seed=7&count=3", None, JSON)[1])
    images = postprocess.from_json(each)["images"]
    assert [int(np.asarray(image)[0, 0]) for image in images] == [7, 8, 9]


def test_a_prompt_is_drawn(served, client):
    path = "/models/shapes-text_to_image/generate?prompt=Big%20RING,+a%21&seed=7&count=3"
    status, body, headers = client.ask("GET", path)
    assert (status, headers["content-type"]) == (200, "image/png")
    given = {"prompt": np.array(["big ring a"] * 3, dtype=object), "seed": np.array([7])}
    expected = bundles.answers("text_to_image", given)["image"][:, 0, 0, 0].tolist()
    assert np.asarray(Image.open(io.BytesIO(body)))[::4, ::4].ravel().tolist() == [*expected, 0]
    images = postprocess.from_json(json.loads(client.ask("GET", path, None, JSON)[1]))["images"]
    assert [int(np.asarray(image)[0, 0]) for image in images] == expected
    card = client.get("/models/shapes-text_to_image")
    assert card["prompt"] == Bundle.open(served.folder / "shapes-text_to_image").golden()[0]["prompt"][0]
    assert (card["words"], card["longest_caption"]) == (bundles.WORDS, 3) and "words" not in client.get(
        "/models/shapes-density"
    )
    golden = Bundle.open(served.folder / "shapes-text_to_image").golden()
    assert card["examples"] == 4
    for place in range(4):
        example = postprocess.from_json(client.get(f"/models/shapes-text_to_image/examples/{place}"))
        assert example["prompt"] == golden[0]["prompt"][place]
        np.testing.assert_array_equal(np.asarray(example["image"]), golden[1]["image"][place, :, :, 0])


def test_a_controlnet_draws_a_prompt_by_an_edge_map(served, client):
    edges, path = picture(size=(4, 4)), "/models/shapes-controlled_generation"
    status, body, headers = client.ask("POST", f"{path}/predict?prompt=Big+RING&seed=7", file(edges))
    assert (status, headers["content-type"]) == (200, "image/png")
    given = {"image": np.asarray(edges)[None, ..., None], "prompt": np.array(["big ring"], dtype=object)}
    expected = bundles.answers("controlled_generation", given | {"seed": np.array([7])})["drawn"][0, ..., 0]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), expected)
    card, golden = client.get(path), Bundle.open(served.folder / "shapes-controlled_generation").golden()[0]
    assert (card["words"], card["prompt"]) == (bundles.WORDS, golden["prompt"][0])
    for place in range(card["examples"]):
        example = postprocess.from_json(client.get(f"{path}/examples/{place}"))
        assert example["prompt"] == golden["prompt"][place]
        np.testing.assert_array_equal(np.asarray(example["image"]), golden["image"][place, :, :, 0])


def test_a_head_model_takes_landmarks(client):
    image = picture(size=(4, 4))
    points = json.dumps([[0.5, 0.5]] * 5).replace(" ", "")
    status, body, _ = client.ask(
        "POST", f"/models/shapes-reenactment/predict?landmarks={points}", file(image)
    )
    assert status == 200
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), np.asarray(image))


def test_a_detector_answers_in_pixels_of_the_picture_as_it_came(client):
    answer = json.loads(
        client.ask("POST", "/models/shapes-detection/predict", file(picture(size=(80, 40))))[1]
    )
    assert answer["objects"] == [
        {"label": "dot", "score": 0.75, "box": {"xmin": 20, "ymin": 20, "xmax": 60, "ymax": 40}},
        {"label": "bar", "score": 0.5, "box": {"xmin": 0, "ymin": 0, "xmax": 80, "ymax": 40}},
    ]


def test_a_mask_is_a_png_whose_pixels_are_classes(client):
    image = picture(size=(4, 4))
    path = "/models/shapes-segmentation/predict"
    status, body, headers = client.ask("POST", path, file(image))
    mask = Image.open(io.BytesIO(body))
    assert (status, headers["content-type"], mask.mode) == (200, "image/png", "P")
    expected = np.asarray(image) % 4
    np.testing.assert_array_equal(np.asarray(mask), expected)
    assert (np.asarray(mask.convert("RGBA"))[..., 3] == np.where(expected, 255, 0)).all()
    told = json.loads(client.ask("POST", path, file(image), JSON)[1])
    shares = {one["label"]: one["share"] for one in told["segments"]}
    assert shares == {
        name: (expected == k + 1).mean()
        for k, name in enumerate(bundles.CLASSES)
        if (expected == k + 1).any()
    }
    drawn = Image.open(io.BytesIO(body)).convert("RGB")
    for one in told["segments"]:
        place = np.argwhere(expected == bundles.CLASSES.index(one["label"]) + 1)[0]
        assert "#" + bytes(drawn.getpixel((int(place[1]), int(place[0])))).hex() == one["color"]


def test_a_transcriber_tells_its_text(client):
    image = picture(size=(4, 4))
    answer = json.loads(client.ask("POST", "/models/shapes-transcription/predict", file(image))[1])
    assert answer["text"] == str(np.asarray(image).sum(dtype=np.int64))
    assert answer["confidence"] == float(answer["text"])


def test_cards_and_examples(served, client):
    cards = {card["name"]: card for card in client.get("/models")["models"]}
    assert set(cards) == {f"shapes-{kind}" for kind in KINDS}
    card = client.get("/models/shapes-classification")
    assert card == cards["shapes-classification"]
    bundle = Bundle.open(served.folder / "shapes-classification")
    assert card["bundle_sha256"] == bundle.sha256
    assert card["metrics"][card["primary"]] == {"value": 0.9, "low": 0.8, "high": 1.0, "better": "higher"}
    assert [cards[f"shapes-{kind}"]["draws_by_class"] for kind in ("generation", "conditional")] == [
        False,
        True,
    ]
    for place in range(card["examples"]):
        shown = postprocess.from_json(client.get(f"/models/shapes-classification/examples/{place}"))["image"]
        np.testing.assert_array_equal(np.asarray(shown), bundle.golden()[0]["image"][place, :, :, 0])
    face = client.get("/models/shapes-reenactment/examples/0")
    assert set(face) == {"image", "pose", "landmarks"} and len(face["landmarks"]) == 5


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/models/shapes-conditional/generate?seed=x", "seed=x: a whole number"),
        ("/models/shapes-conditional/generate?seed=9223372036854775808", "seed must be"),
        ("/models/shapes-conditional/generate?count=0", "count must be 1 to"),
        ("/models/shapes-conditional/generate?count=257", "257 rows in one request; at most 256"),
        ("/models/shapes-conditional/generate?label=rinq", "no class 'rinq'. Did you mean 'ring'?"),
        ("/models/shapes-generation/generate?label=ring", "draws no images by class"),
        ("/models/shapes-generation/generate?sed=1", "no parameter 'sed'. Did you mean 'seed'?"),
        ("/models/shapes-generation/generate?prompt=ring", "reads no prompt"),
        ("/models/shapes-text_to_image/generate", "draws what a prompt says: give it one"),
        (
            "/models/shapes-text_to_image/generate?prompt=a+rign",
            "not know, 'rign'. Did you mean 'ring'? It can be: a, bar",
        ),
        (
            "/models/shapes-text_to_image/generate?prompt=a+a+a+a",
            "the prompt has 4 words; it reads at most 3",
        ),
        ("/models/shapes-text_to_image/generate?prompt=a&label=ring", "leave the label out"),
        (
            "/models/shapes-text_to_image/generate?prompt=a&count=999999999",
            "rows in one request; at most 256",
        ),
        ("/models/shapes-translation/generate", "POST one to /models/shapes-translation/predict"),
    ],
)
def test_what_a_generator_does_not_take(client, path, told):
    status, body, _ = client.ask("GET", path)
    assert status == 400 and told in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("model", "query", "told"),
    [
        ("classification", "?top=3", "no parameter 'top'"),
        ("generation", "", "GET /models/shapes-generation/generate?seed=0"),
        ("text_to_image", "", "GET /models/shapes-text_to_image/generate?prompt=...&seed=0"),
        ("controlled_generation", "", "draws what a prompt says: give it one"),
        ("controlled_generation", "?prompt=rign", "not know, 'rign'. Did you mean 'ring'?"),
        ("controlled_generation", "?prompt=a&seed=x", "seed=x: a whole number"),
        ("controlled_generation", "?prompt=a&seed=9223372036854775808", "seed must be"),
        ("controlled_generation", "?prompt=a&count=2", "no parameter 'count'"),
        ("reenactment", "", "landmarks must be 5 points"),
        ("reenactment", "?landmarks=[[1,2]]", "landmarks must be 5 points"),
        ("reenactment", "?landmarks=" + "[" * 5000, "landmarks is a list of points in JSON"),
        ("reenactment", "?landmarks=" + "[[1e999,0],[0,0],[0,0],[0,0],[0,0]]", "landmarks must be 5 points"),
    ],
)
def test_what_a_model_does_not_take(client, model, query, told):
    status, body, _ = client.ask("POST", f"/models/shapes-{model}/predict{query}", file(picture()))
    assert status == 400 and told in json.loads(body)["error"]


def test_no_such_model_or_example(client):
    for path in ("/models/nobody", "/models/nobody/generate", "/models/shapes-density/examples/99"):
        status, body, _ = client.ask("GET", path)
        assert status == 404 and "error" in json.loads(body)
    assert client.ask("GET", "/models/shapes-density/examples/x")[0] == 404


def test_a_form_is_told_how_to_be_sent(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, body, _ = client.ask("POST", "/models/shapes-density/predict", b"--x--", headers)
    assert status == 415 and "--data-binary" in json.loads(body)["error"]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that decodes to width x height pixels of nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
HOSTILE = {
    "nothing": b"",
    "text": b"no picture",
    "a bomb": bomb(6000, 6000),
    "claims 4 gigapixels": bomb(8, 8).replace(struct.pack(">II", 8, 8), struct.pack(">II", 65535, 65535)),
    "EPS": EPS,
    "GIF": file(picture("P"), "GIF"),
    "TIFF": file(picture("RGB"), "TIFF"),
    "BMP": file(picture("RGB"), "BMP"),
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
    "a cut PNG": file(picture("RGB", (64, 64)))[:-400],
    "a cut JPEG": file(picture("RGB", (64, 64)), "JPEG")[:300],
    "a cut WebP": file(picture("RGB", (64, 64)), "WEBP")[:200],
    "only a PNG's first bytes": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(client, name):
    status, body, _ = client.ask("POST", "/models/shapes-classification/predict", HOSTILE[name])
    assert status == 400 and "picture" in json.loads(body)["error"]


def test_one_pixel_is_a_picture(client):
    for kind in ("PNG", "JPEG", "WEBP"):
        assert (
            client.ask("POST", "/models/shapes-density/predict", file(picture("RGB", (1, 1)), kind))[0] == 200
        )


def test_hostile_files_leave_no_memory_behind(served, client):
    process = psutil.Process(served.process.pid)

    def ask_all() -> None:
        for content in HOSTILE.values():
            client.ask("POST", "/models/shapes-classification/predict", content)
        client.ask("POST", "/models/shapes-classification/predict", large)

    large = bomb(4900, 4900)  # just allowed: some 24 MB, decoded
    for _ in range(10):  # so often that each decoding thread has had a large one
        ask_all()
    before = process.memory_info().rss
    for _ in range(10):
        ask_all()
    # Each of the two decoding threads may keep one picture's memory at hand; ten rounds leave ten behind in a leak.
    assert process.memory_info().rss < before + 60e6
