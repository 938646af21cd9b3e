"""Use a bundle with ONNX Runtime, NumPy and Pillow alone; copy it and make it yours.

python read_bundle.py artifacts/bundles/digits-cnn picture.png              classify a picture
python read_bundle.py artifacts/bundles/digits-gmm picture.png              ... and say how likely it is
python read_bundle.py artifacts/bundles/digits-vae grid.png --seed 3        draw 16 new images from a seed
python read_bundle.py artifacts/bundles/digits-gan grid.png --class 7       ... of a class, where the model can
python read_bundle.py artifacts/bundles/digit-captions-text-to-image grid.png --prompt "a red seven"   ... by words
python read_bundle.py artifacts/bundles/digit-sketches-controlnet edges.png --prompt "seven red on blue" --output x.png
python read_bundle.py artifacts/bundles/digits-pix2pix edges.png --output digit.png     translate a picture
python read_bundle.py artifacts/bundles/digit-scenes-segmenter picture.png --output mask.png     a class for each pixel
python read_bundle.py artifacts/bundles/digit-scenes-detr picture.png        boxes of objects in the picture's pixels
python read_bundle.py artifacts/bundles/faces-head shot.png --landmarks points.json      somebody with other landmarks
python read_bundle.py artifacts/bundles/digit-lines-transformer line.png    transcribe a picture
"""

import argparse
import json
import math
import os
from pathlib import Path
from unicodedata import category

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # or its import makes a device id in your home
import onnxruntime
from PIL import Image


def main() -> None:
    """Read the command line and do what the bundle's task asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("picture", type=Path, help="the picture to read, or the one to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--output", type=Path, default="made.png", help="where what is made goes")
    parser.add_argument(
        "--landmarks", type=Path, help="JSON: [[x, y], ...], in [0, 1] of the picture's sides"
    )
    parser.add_argument(
        "--class", dest="wanted", metavar="CLASS", help="one of the classes; all in turn without it"
    )
    parser.add_argument("--prompt", help="what to draw, where the model draws by words")
    arguments = parser.parse_args()

    description = json.loads((arguments.bundle / "bundle.json").read_text())
    model = arguments.bundle / "1/model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    if description["task"] == "generation":
        conditional = "label" in [tensor["name"] for tensor in description["inputs"]]
        if arguments.wanted and not conditional:
            parser.error(f"--class: {description['name']} draws no images by class")
        if arguments.wanted and arguments.wanted not in description["classes"]:
            parser.error(f"--class: must be one of {', '.join(description['classes'])}")
        label = description["classes"].index(arguments.wanted) if arguments.wanted else -1
        images = generate(session, arguments.seed, arguments.count, label if conditional else None)
        grid(images).save(arguments.picture)
        print(f"{len(images)} images of seed {arguments.seed} in {arguments.picture}")
        return

    if "words" in description:
        if arguments.prompt is None:
            parser.error(f"{description['name']} needs --prompt; it knows {', '.join(description['words'])}")
        # Words are of letters, the marks that belong to them, and numbers.
        kept = (c if category(c)[0] in "LMN" else " " for c in arguments.prompt.lower())
        words = "".join(kept).split()
        if unknown := [word for word in words if word not in description["words"]]:
            parser.error(f"--prompt: unknown {unknown[0]!r}; it knows {', '.join(description['words'])}")
    if description["task"] == "text_to_image":
        prompt = np.array([" ".join(words)] * arguments.count, dtype=object)
        (images,) = session.run(["image"], {"prompt": prompt, "seed": np.array([arguments.seed], np.int64)})
        grid(images).save(arguments.picture)
        print(f"{len(images)} images of {prompt[0]!r} in {arguments.picture}")
        return

    outputs = [output["name"] for output in description["outputs"]]
    image = read_image(arguments.picture, description["image"])
    request = {"image": image}
    if description["task"] == "reenactment":
        if arguments.landmarks is None:
            parser.error(f"{description['name']} needs --landmarks")
        points = np.array(json.loads(arguments.landmarks.read_text()), np.float32)
        request = {"landmarks": points[None], "shots": image[None]}
    if description["task"] == "controlled_generation":
        request["prompt"] = np.array([" ".join(words)], dtype=object)
        request["seed"] = np.array([arguments.seed], np.int64)
    if description["task"] == "detection":
        width, height = upright(Image.open(arguments.picture)).size
        request["size"] = np.array([[height, width]], np.int64)
    answers = dict(zip(outputs, session.run(outputs, request), strict=True))
    if description["task"] == "segmentation":
        size = upright(Image.open(arguments.picture)).size
        write_mask(answers["mask"][0], size, description["image"], arguments.output)
        for value, pixels in zip(*np.unique(answers["mask"], return_counts=True), strict=True):
            name = description["classes"][value - 1] if value else "(ground)"
            print(f"{value}  {name}  {pixels / answers['mask'].size:.1%}")
        return
    if description["task"] == "detection":
        print_boxes(description["classes"], *(answers[name][0] for name in ("boxes", "scores", "labels")))
        return
    if description["task"] in ("translation", "reenactment", "controlled_generation"):
        Image.fromarray(answers[outputs[0]][0].squeeze()).save(arguments.output)
        print(f"what {description['name']} made of {arguments.picture} is in {arguments.output}")
        return
    if description["task"] == "transcription":
        print(f"{answers['text'][0]}  {answers['confidence'][0]:.3f}")
        return
    if "log_likelihood" in answers:
        print(f"log-likelihood {answers['log_likelihood'][0]:.1f} nats")
    probabilities = answers["probabilities"][0]
    for k in np.argsort(-probabilities)[:3]:
        print(f"{description['classes'][k]}  {probabilities[k]:.3f}")


def write_mask(mask: np.ndarray, size: tuple[int, int], how: dict, path: Path) -> None:
    """Write a PNG of the picture's size: its values are 0 on the ground and k + 1 on class k, each in a colour."""
    image = Image.fromarray(mask)
    if "fit" in how:
        x0, y0, x1, y1 = window(how, size)
        across, down = image.width / (x1 - x0), image.height / (y1 - y0)
        place = (across, 0, -x0 * across, 0, down, -y0 * down)
        image = image.transform(size, Image.Transform.AFFINE, place, Image.Resampling.NEAREST, fillcolor=0)
    else:
        image = image.resize(size, Image.Resampling.NEAREST)
    hues = Image.fromarray((np.arange(1, 256) * 158 % 256).astype(np.uint8)[None])
    full = Image.new("L", hues.size, 255)
    colours = np.asarray(Image.merge("HSV", [hues, full, full]).convert("RGB"))
    image.putpalette([0, 0, 0, *colours.ravel().tolist()])
    image.save(path, "PNG")


def print_boxes(classes: list[str], boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
    """Print each box with a score of .5 or more, the surest first: class, score, left, top, right, bottom in pixels."""
    for q in np.argsort(-scores):
        if scores[q] >= 0.5:
            print(f"{classes[labels[q]]}  {scores[q]:.3f}  " + " ".join(f"{value:.1f}" for value in boxes[q]))


def read_image(path: Path, how: dict) -> np.ndarray:
    """Return the picture as the graph takes it: uint8 [1, H, W, C]."""
    image, size, target = Image.open(path), upright(Image.open(path)).size, (how["width"], how["height"])
    x0, y0, x1, y1 = window(how, size)
    if how.get("reduced") and image.format in ("JPEG", "MPO"):  # a large JPEG is decoded at a smaller scale
        whole = math.ceil(target[0] * size[0] / (x1 - x0)), math.ceil(target[1] * size[1] / (y1 - y0))
        image.draft(None, whole if image.size == size else whole[::-1])
    ground = tuple(how.get("ground", (255, 255, 255)))
    image, resample = flatten(upright(image), how["mode"], ground), Image.Resampling[how["resample"]]
    if how.get("fit") == "pad":
        left, top, inner = padded(size, target)
        inside = image if image.size == inner else image.resize(inner, resample)
        image = Image.new("RGB", target, ground).convert(how["mode"])
        image.paste(inside, (left, top))
    elif image.size != target:
        across, down = image.width / size[0], image.height / size[1]
        box = (x0 * across, y0 * down, min(x1 * across, image.width), min(y1 * down, image.height))
        image = image.resize(target, resample, box=box)
    return np.asarray(image).reshape(1, how["height"], how["width"], how["channels"])


def window(how: dict, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return which part of a picture of this size the graph sees: x0, y0, x1, y1 in its pixels."""
    (width, height), (across, down) = size, (how["width"], how["height"])
    if how.get("fit") == "crop":
        scale = max(across / width, down / height)
        seen = min(across / scale, width), min(down / scale, height)
        left, top = (width - seen[0]) / 2, (height - seen[1]) / 2
        return left, top, left + seen[0], top + seen[1]
    if how.get("fit") == "pad":
        left, top, inner = padded(size, (across, down))
        x, y = width / inner[0], height / inner[1]
        return -left * x, -top * y, (across - left) * x, (down - top) * y
    return 0, 0, width, height


def padded(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
    """Return where a picture lies that is padded: left, top, and its width and height there."""
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = (min(t, max(1, math.floor(s * scale + 0.5))) for s, t in zip(size, target, strict=True))
    return (target[0] - width) // 2, (target[1] - height) // 2, (width, height)


def upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says; one with a broken EXIF block stays as it lies."""
    turns = dict(zip((2, 4, 8, 3, 6, 5, 7), Image.Transpose, strict=True))
    try:
        turn = turns.get(image.getexif().get(0x0112))
    except Exception:  # Pillow raises anything on a broken block.
        turn = None
    return image if turn is None else image.transpose(turn)


def flatten(image: Image.Image, mode: str, ground: tuple[int, int, int]) -> Image.Image:
    """Scale 16 bits to 8, which Pillow's convert does not, and lay what is transparent on the ground."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        clear = image.info.get("transparency")
        image = Image.fromarray((values >> 8).astype(np.uint8))
        if clear is not None:
            image.putalpha(Image.fromarray(np.where(values == clear, np.uint8(0), np.uint8(255))))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")
    return image.convert(mode)


def generate(
    session: onnxruntime.InferenceSession, seed: int, count: int, label: int | None = None
) -> np.ndarray:
    """Return uint8 [count, H, W, C]; the same seed gives the same images, whatever the count.

    A conditional model needs ``label``: the index of a class, or -1 for every class in turn.
    """
    request = {"seed": np.array([seed], np.int64), "count": np.array([count], np.int64)}
    if label is not None:
        request["label"] = np.array([label], np.int64)
    return session.run(["image"], request)[0]


def grid(images: np.ndarray, columns: int = 8, scale: int = 6) -> Image.Image:
    """Lay the images out in rows, each pixel as a square of ``scale`` pixels, with a white line between."""
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    cells = np.full((rows * columns, height * scale + 4, width * scale + 4, channels), 255, np.uint8)
    cells[:count, 2:-2, 2:-2] = images.repeat(scale, axis=1).repeat(scale, axis=2)
    sheet = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * cells.shape[1], columns * cells.shape[2], channels)
    return Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet)


if __name__ == "__main__":
    main()
