"""Writes test/data/fixtures/density.safetensors: density maps of points as crowd counting makes them, in NumPy, f64.

At the pixel of each point a kernel x kernel Gaussian of standard deviation sigma whose sum is 1, cut off at the borders of the map and divided by
what is left of its sum (after get_density_map_gaussian.m of the crowd-counting literature: fspecial('gaussian'), clipped, normalised again).

    python test/reference/density.py
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[1] / "data" / "fixtures" / "density.safetensors"


def gaussian(size: int, sigma: float) -> np.ndarray:
    """MATLAB's fspecial('gaussian', size, sigma)."""
    at = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(at, at)
    h = np.exp(-(x * x + y * y) / (2 * sigma * sigma))
    return h / h.sum()


def density(points: np.ndarray, width: int, height: int, sigma: float, kernel: int) -> np.ndarray:
    r = kernel // 2
    padded = np.zeros((height + 2 * r, width + 2 * r))
    whole = gaussian(kernel, sigma)
    for x, y in points:
        column, row = int(np.floor(x)), int(np.floor(y))
        inside = np.zeros_like(padded)
        inside[row : row + kernel, column : column + kernel] = whole
        inside[:r] = 0
        inside[height + r :] = 0
        inside[:, :r] = 0
        inside[:, width + r :] = 0
        padded += inside / inside.sum()
    return padded[r : height + r, r : width + r]


rng = np.random.default_rng(11)
cases = {
    "middle": (40, 30, 4.0, 15, np.array([[20.2, 15.9]])),
    "corners": (40, 30, 4.0, 15, np.array([[0, 0], [39.999, 0.1], [0.5, 29.5], [39.2, 29.9]])),
    "crowd": (48, 32, 4.0, 15, rng.uniform([0, 0], [48, 32], (60, 2))),
    "small map": (9, 7, 4.0, 15, rng.uniform([0, 0], [9, 7], (5, 2))),
    "narrow": (24, 24, 0.7, 5, rng.uniform([0, 0], [24, 24], (12, 2))),
    "pixel": (12, 10, 1.0, 1, rng.uniform([0, 0], [12, 10], (8, 2))),
}
tensors, settings = {}, {}
for name, (width, height, sigma, kernel, points) in cases.items():
    points = points.astype(np.float32)
    tensors[f"{name} points"] = points
    tensors[f"{name} density"] = density(points, width, height, sigma, kernel).astype(np.float32)
    settings[name] = {"width": width, "height": height, "sigma": sigma, "kernel": kernel}
save_file(tensors, OUT, metadata={"cases": json.dumps(settings)})
print(OUT, OUT.stat().st_size, "bytes")
