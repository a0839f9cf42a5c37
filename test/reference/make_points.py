"""Writes test/data/fixtures/mat: annotations in the layout of ShanghaiTech's ground truth, by scipy.io.savemat.

`image_info` is a 1 x 1 cell of a struct with `location`, [n, 2], x and y counted from 1, and `number`: compressed and plain, of doubles and of small
integers, of no point at all; and files that are none of these.

    pip install scipy
    python test/reference/make_points.py
"""

from pathlib import Path

import numpy as np
from scipy.io import savemat

OUT = Path(__file__).resolve().parents[1] / "data" / "fixtures" / "mat"
OUT.mkdir(parents=True, exist_ok=True)


def info(location: np.ndarray) -> dict:
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = {"location": location, "number": np.array([[len(location)]], dtype=np.uint16)}
    return {"image_info": cell}


heads = np.array([[1, 1], [8, 6], [3.25, 4.75]])
savemat(OUT / "compressed.mat", info(heads), do_compression=True)
savemat(OUT / "plain.mat", {**info(heads), "note": "text", "flags": np.array([[True]])}, do_compression=False)
savemat(OUT / "integers.mat", info(np.array([[2, 3], [200, 100]], dtype=np.uint8)), do_compression=True)
savemat(OUT / "singles.mat", info(np.array([[2.5, 3]], dtype=np.float32)), do_compression=False)
savemat(OUT / "empty.mat", info(np.zeros((0, 2))), do_compression=True)
savemat(OUT / "triples.mat", info(np.ones((2, 3))), do_compression=True)
savemat(OUT / "other.mat", {"density": np.ones((2, 2))}, do_compression=True)
savemat(OUT / "without.mat", {"image_info": np.array([[1.0]])}, do_compression=True)
savemat(OUT / "level4.mat", {"x": heads}, format="4")
for file in sorted(OUT.glob("*.mat")):
    print(file.name, file.stat().st_size, "bytes")
