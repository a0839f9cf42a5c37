"""Writes test/fixtures/average-precision.safetensors: what scikit-learn makes of scores for several classes at once.

`scores` [items, classes], with equal ones among them, `has` (0 or 1), `precision` (`average_precision_score` of each class; the last class has no
item and is left out), `mean` over these, and `exact`, the share of items of which a score above 0 says all labels right (`accuracy_score`).

    python test/reference/average_precision.py
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.metrics import accuracy_score, average_precision_score

ROOT = Path(__file__).parent.parent.parent
ITEMS, CLASSES = 60, 6

draw = np.random.default_rng(7)
has = (draw.random((ITEMS, CLASSES)) < [0.5, 0.2, 0.1, 0.8, 0.5, 0]).astype(np.int64)
noise = np.array([0.1, 1, 2, 1, 0.4, 1])
# Rounded, so that some are equal.
scores = np.round((2 * has - 1 + noise * draw.standard_normal((ITEMS, CLASSES))) * 4) / 4 + 0.125
scores[:, 5] = -1
precision = np.array([average_precision_score(has[:, c], scores[:, c]) for c in range(CLASSES - 1)])
save_file(
    {
        "scores": scores.astype(np.float32),
        "has": has.astype(np.uint8),
        "precision": precision.astype(np.float64),
        "mean": np.array([precision.mean()]),
        "exact": np.array([accuracy_score(has, scores > 0)]),
    },
    ROOT / "test/fixtures/average-precision.safetensors",
)
