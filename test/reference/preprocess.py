"""Writes test/runtime/fixtures/preprocess.safetensors: images, and what Pillow makes of them.

Resizing is Pillow's own, one axis after the other: horizontal first, as Pillow does through version 12 (version 13 begins with the vertical
axis where it reckons that to be faster, which moves single values by one or two). Sizes and crops that round to even are torchvision's (`Resize(int)`, `CenterCrop`), written out here since that is a
few lines: `_compute_resized_output_size` and `center_crop` of torchvision.transforms.functional. Other crops are transformers' own.

    python test/reference/preprocess.py
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from transformers.image_transforms import center_crop

FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
OUT = Path(__file__).parent.parent / "runtime" / "fixtures" / "preprocess.safetensors"


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """Noise, ramps and hard edges, with an alpha that has to be dropped."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[: height // 2, : width // 2, :3] = 255
    pixels[height // 2 :, : width // 3, :3] = 0
    pixels[: height // 3, width // 2 :, 1] = np.linspace(0, 255, width - width // 2, dtype=np.uint8)[None]
    return pixels


def stretch(image: Image.Image, width: int, height: int, name: str) -> Image.Image:
    return image.resize((width, image.height), FILTERS[name]).resize((width, height), FILTERS[name])


def resize(image: Image.Image, step: dict) -> Image.Image:
    size = step["size"]
    width, height = image.size
    if isinstance(size, dict):  # as SAM's ResizeLongestSide
        scale = size["longest"] * 1.0 / max(width, height)
        return stretch(image, int(width * scale + 0.5), int(height * scale + 0.5), step["filter"])
    if isinstance(size, list):
        return stretch(image, size[1], size[0], step["filter"])
    short, long = (width, height) if width <= height else (height, width)
    if short == size:
        return image
    new_long = int(size * long / short)
    new = (size, new_long) if width <= height else (new_long, size)
    return stretch(image, *new, step["filter"])


def crop(image: Image.Image, step: dict) -> Image.Image:
    if step.get("rounding") != "even":
        array = np.asarray(image)
        whole = array[..., None] if array.ndim == 2 else array
        cut = center_crop(whole, tuple(step["size"]), input_data_format="channels_last")
        return Image.fromarray(np.ascontiguousarray(cut.reshape(*cut.shape[:2], *array.shape[2:])), image.mode)
    crop_height, crop_width = step["size"]
    width, height = image.size
    if crop_width > width or crop_height > height:
        left = (crop_width - width) // 2 if crop_width > width else 0
        top = (crop_height - height) // 2 if crop_height > height else 0
        right = (crop_width - width + 1) // 2 if crop_width > width else 0
        bottom = (crop_height - height + 1) // 2 if crop_height > height else 0
        padded = Image.new(image.mode, (width + left + right, height + top + bottom))
        padded.paste(image, (left, top))
        image, (width, height) = padded, padded.size
    top = int(round((height - crop_height) / 2.0))
    left = int(round((width - crop_width) / 2.0))
    return image.crop((left, top, left + crop_width, top + crop_height))


def pad(image: Image.Image, step: dict) -> Image.Image:
    height, width = step["size"]
    padded = Image.new(image.mode, (width, height))
    padded.paste(image, (0, 0))
    return padded


def apply(pixels: np.ndarray, steps: list) -> np.ndarray:
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    array = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(array), modes[pixels.shape[-1]]).convert("RGB")
    for step in steps:
        if step["step"] == "resize":
            image = resize(image, step)
        elif step["step"] == "crop":
            image = crop(image, step)
        elif step["step"] == "pad":
            image = pad(image, step)
        elif step["step"] == "grayscale":
            image = image.convert("L")
    result = np.asarray(image)
    return result[..., None] if result.ndim == 2 else result


def r(size, filter="bicubic"):
    return {"step": "resize", "size": size, "filter": filter}


def c(height, width):
    return {"step": "crop", "size": [height, width]}


def even(height, width):
    return {**c(height, width), "rounding": "even"}


def longest(size, filter="bilinear"):
    return r({"longest": size}, filter)


def p(height, width):
    return {"step": "pad", "size": [height, width]}


GRAY = {"step": "grayscale"}
CASES = {
    **{f"shrink {f}": ((97, 61, 4), [r([24, 32], f)]) for f in FILTERS},
    **{f"enlarge {f}": ((7, 5, 4), [r([30, 41], f)]) for f in FILTERS},
    **{f"single pixel {f}": ((1, 1, 4), [r([8, 9], f)]) for f in FILTERS},
    **{f"shrink one axis, enlarge the other {f}": ((50, 6, 4), [r([13, 21], f)]) for f in FILTERS},
    "one axis only": ((40, 24, 4), [r([24, 17])]),
    "same size": ((16, 16, 4), [r([16, 16])]),
    "shorter side, portrait": ((45, 80, 4), [r(28, "bilinear"), c(28, 28)]),
    "shorter side, landscape, odd": ((61, 47, 4), [r(33), c(28, 28)]),
    "shorter side kept": ((28, 41, 4), [r(28), c(28, 28)]),
    "very wide": ((900, 3, 4), [r(16), c(16, 16)]),
    "very tall": ((2, 700, 4), [r(12, "bilinear"), c(12, 12)]),
    "one pixel wide, shrunk": ((1, 300, 4), [r([10, 10])]),
    "crop rounds to even, down": ((17, 19, 4), [even(12, 14)]),
    "crop rounds to even, up": ((19, 21, 4), [even(16, 16)]),
    **{f"crop of a margin of {m}, {n}": ((12 + m, 10 + n, 4), [c(10, 12)]) for m, n in [(1, 2), (3, 5), (7, 4), (6, 11)]},
    "crop pads": ((5, 8, 4), [c(10, 12)]),
    "crop pads, rounding to even": ((5, 8, 4), [even(11, 12)]),
    "crop pads one axis and cuts the other": ((31, 9, 4), [c(14, 14)]),
    "crop pads one axis": ((30, 9, 4), [c(14, 14)]),
    "resize, then crop pads": ((20, 10, 4), [r([6, 31]), c(16, 16)]),
    "crop pads, then resize": ((5, 8, 4), [c(11, 12), r([20, 7])]),
    "crop, then resize": ((40, 33, 4), [c(21, 30), r([16, 16], "bilinear")]),
    "two resizes": ((64, 50, 4), [r(40), c(36, 36), r([12, 15], "bilinear"), c(11, 11)]),
    "longest side, portrait, padded": ((45, 80, 4), [longest(32), p(32, 32)]),
    "longest side, landscape, enlarged": ((29, 17, 3), [longest(50, "bicubic"), p(50, 50)]),
    "longest side, a thin strip": ((300, 4, 4), [longest(40), p(40, 40)]),
    "longest side kept, padded more": ((30, 21, 4), [longest(30), p(33, 41)]),
    "pads, then resizes": ((20, 11, 4), [p(24, 30), r([12, 15])]),
    "pads without a resize": ((13, 9, 4), [p(16, 20)]),
    "crops, resizes, pads": ((50, 33, 4), [c(30, 40), longest(24), p(24, 24)]),
    "pads, then crops the middle": ((13, 9, 4), [p(16, 20), c(10, 12)]),
    "gray, then resize": ((40, 30, 4), [GRAY, r([16, 16])]),
    "resize, then gray": ((40, 30, 4), [r([16, 16]), GRAY]),
    "gray only": ((12, 10, 4), [GRAY]),
    "gray input, enlarged": ((28, 28, 1), [r([32, 32], "bilinear"), GRAY]),
    "RGB input": ((31, 27, 3), [r([16, 16])]),
}


def main() -> None:
    tensors, meta = {}, {}
    for seed, (name, ((width, height, channels), steps)) in enumerate(CASES.items()):
        pixels = picture(width, height, seed)[..., :channels]
        tensors[f"{name}.in"] = np.ascontiguousarray(pixels)
        tensors[f"{name}.out"] = np.ascontiguousarray(apply(pixels, steps))
        meta[name] = json.dumps(steps)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, metadata=meta)
    print(f"{OUT}: {len(CASES)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
