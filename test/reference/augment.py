"""Writes test/data/fixtures/augment.safetensors: pictures, and what timm's operations (Pillow's, below) and torchvision's make of them; batches, and
what timm's mixtures make of them.

    python test/reference/augment.py
"""

import json
import random
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from preprocess import picture
from safetensors.numpy import save_file
from timm.data import auto_augment, mixup
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as F

OUT = Path(__file__).parent.parent / "data" / "fixtures" / "augment.safetensors"
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
FILL = (124, 116, 104)
# Those of `rand-m9-mstd0.5-inc1`.
OPERATIONS = auto_augment._RAND_INCREASING_TRANSFORMS
MOVES = {"Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"}
# Large enough for Equalize to do something, and small enough to be many.
PICTURES = {"wide": (37, 21, 0), "tall": (11, 26, 1)}


def operation(image: Image.Image, name: str, magnitude: float, sign: int, kernel: str) -> Image.Image:
    """One operation of timm's at a magnitude, whose sign would be drawn."""
    level, act = auto_augment.LEVEL_TO_ARG[name], auto_augment.NAME_TO_OP[name]
    # timm negates where what it draws is above one half.
    with patch.object(random, "random", lambda: 0.75 if sign < 0 else 0.25):
        arguments = level(magnitude, {"translate_pct": 0.45}) if level else ()
    return act(image, *arguments, fillcolor=FILL, resample=FILTERS[kernel])


def resized(image: Image.Image, box: tuple, size: tuple, kernel: str) -> Image.Image:
    """A part of a picture, resized; horizontally first, see preprocess.py."""
    top, left, height, width = box
    part = F.crop(image, top, left, height, width)
    return part.resize((size[1], height), FILTERS[kernel]).resize((size[1], size[0]), FILTERS[kernel])


def main() -> None:
    tensors, cases, parts, mixtures = {}, {}, {}, {}
    add = lambda name, image: tensors.__setitem__(name, np.ascontiguousarray(np.asarray(image)))  # noqa: E731
    for name, (width, height, seed) in PICTURES.items():
        pixels = picture(width, height, seed)[..., :3]
        # Part of a picture's range, so that stretching it changes something.
        pixels = (40 + pixels.astype(int) * 3 // 5).astype(np.uint8) if name == "tall" else pixels
        image = Image.fromarray(np.ascontiguousarray(pixels))
        add(name, image)
        add(f"{name} flip", F.hflip(image))
        add(f"{name} flipVertical", F.vflip(image))
        for op in OPERATIONS:
            signs = [1] if op in {"AutoContrast", "Equalize", "Invert"} else [1, -1]
            for kernel in FILTERS if op in MOVES else ["bilinear"]:
                # At 10 nothing is left of a posterized picture, which Pillow refuses from version 13 on.
                most = [] if op == "PosterizeIncreasing" else [10]
                for magnitude in [9] if name == "wide" else [0, 3.3, 9, *most]:
                    for sign in signs:
                        case = f"{name} {op} {magnitude} {sign} {kernel}"
                        add(case, operation(image, op, magnitude, sign, kernel))
                        cases[case] = [name, op, magnitude, sign, kernel]
        for box in [(2, 3, 9, 7), (0, 0, height, width), (5, 1, 1, 4)]:
            for kernel in FILTERS:
                case = f"{name} part {box} {kernel}"
                add(case, resized(image, box, (12, 10), kernel))
                parts[case] = [name, list(box), kernel]
    # Shapes for which no part fits, so that the largest one in the middle is taken.
    fallback = [
        [w, h, *RandomResizedCrop.get_params(torch.zeros(3, h, w), [2, 2], list(r))]
        for w, h, r in [(40, 9, (0.75, 1.33)), (7, 50, (0.75, 1.33)), (21, 20, (0.75, 1.33)), (30, 11, (0.5, 2))]
    ]

    torch.manual_seed(0)
    for n, (height, width) in {4: (6, 8), 5: (5, 4)}.items():
        x = torch.randn(n, 3, height, width)
        labels = torch.arange(n) % 3
        tensors[f"batch {n}"] = x.numpy()
        for share in [0.3, 0.8125]:
            target = mixup.mixup_target(labels, 3, share, 0.0)
            tensors[f"mixup {n} {share}"] = (x * share + x.flip(0) * (1 - share)).numpy()
            tensors[f"mixup {n} {share} targets"] = target.numpy()
            at = [height - 1, 2]
            with patch.object(np.random, "randint", lambda low, high, size=None: at.pop(0)):
                (yl, yh, xl, xh), left = mixup.cutmix_bbox_and_lam(tuple(x.shape), share)
            boxed = x.clone()
            boxed[:, :, yl:yh, xl:xh] = x.flip(0)[:, :, yl:yh, xl:xh]
            tensors[f"cutmix {n} {share}"] = boxed.numpy()
            tensors[f"cutmix {n} {share} targets"] = mixup.mixup_target(labels, 3, left, 0.0).numpy()
            mixtures[f"{n} {share}"] = {"box": [int(v) for v in (yl, yh, xl, xh)], "share": float(left)}
    meta = {"cases": cases, "parts": parts, "fallback": fallback, "mixtures": mixtures, "fill": list(FILL)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT, metadata={name: json.dumps(value) for name, value in meta.items()})
    print(f"{OUT}: {len(tensors)} tensors, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
