"""Makes tiny random ConvNeXts of DINOv3 as transformers and timm save them.

    python test/reference/make_dinov3_convnext.py

test/fixtures/dinov3-convnext/plain: a DINOv3ConvNextModel, `pixels` [2, 3, 32, 32], `features`, its last hidden state, and `pooled`, what it gives for the picture, in f64; `larger.*` are of an image
of 64 with the same weights. `names`: what transformers 5 calls its tensors in memory.
test/fixtures/dinov3-convnext/timm: the same weights as timm's filter of checkpoints takes them from the authors' names, in a folder of timm's, which says as little as the published ones; `features` of it is the normed mean.
test/fixtures/dinov3-convnext/counts.json: parameters of the published sizes, as transformers and timm count them.
"""

import json
import re
import shutil

import timm
import torch
from timm.models._hub import save_for_hf
from timm.models.convnext import checkpoint_filter_fn
from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel, DINOv3ViTImageProcessor

from backbones import FIXTURES, pictures, randomise, save, save_json

FOLDER = "dinov3-convnext"
TINY = dict(hidden_sizes=[8, 12, 16, 24], depths=[1, 2, 1, 1], image_size=32)
SIZES = {"": (2, 32), "larger.": (1, 64)}
PUBLISHED = {
    "tiny": ([96, 192, 384, 768], [3, 3, 9, 3]),
    "small": ([96, 192, 384, 768], [3, 3, 27, 3]),
    "base": ([128, 256, 512, 1024], [3, 3, 27, 3]),
    "large": ([192, 384, 768, 1536], [3, 3, 27, 3]),
}


def authors(name):
    """The name of a tensor of transformers' in the authors' files."""
    name = re.sub(r"^model\.", "", name)
    name = re.sub(r"stages\.(\d+)\.downsample_layers\.(\d)", r"downsample_layers.\1.\2", name)
    name = re.sub(r"stages\.(\d+)\.layers\.(\d+)", r"stages.\1.\2", name)
    return name.replace("depthwise_conv", "dwconv").replace("pointwise_conv", "pwconv").replace("layer_norm", "norm")


def main():
    shutil.rmtree(FIXTURES / FOLDER, ignore_errors=True)
    model = randomise(DINOv3ConvNextModel(DINOv3ConvNextConfig(**TINY)), 81)
    model.save_pretrained(FIXTURES / FOLDER / "plain")
    DINOv3ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(FIXTURES / FOLDER / "plain")
    save_json(f"{FOLDER}/plain/names.json", {n: list(p.shape) for n, p in model.named_parameters()})

    other = timm.create_model("convnext_tiny", dims=TINY["hidden_sizes"], depths=TINY["depths"], num_classes=0,
                              pretrained_cfg=timm.get_pretrained_cfg("convnext_tiny.dinov3_lvd1689m"))
    other.load_state_dict(checkpoint_filter_fn({authors(n): p for n, p in model.state_dict().items()}, other), strict=True)
    path = FIXTURES / FOLDER / "timm"
    save_for_hf(other, path, safe_serialization=True, model_args=dict(dims=TINY["hidden_sizes"], depths=TINY["depths"]))
    (path / "config.json").write_text(json.dumps(json.loads((path / "config.json").read_text()), indent=2) + "\n")

    model, other = model.double(), other.double().eval()
    found, pooled = {}, {}
    for (prefix, (count, side)), pixels in zip(SIZES.items(), pictures(82, *((c, 3, s, s) for c, s in SIZES.values()))):
        with torch.no_grad():
            result = model(pixels.double())
            found |= {f"{prefix}pixels": pixels, f"{prefix}features": result.last_hidden_state, f"{prefix}pooled": result.pooler_output}
            pooled |= {f"{prefix}pixels": pixels, f"{prefix}pooled": other(pixels.double())}
            assert (pooled[f"{prefix}pooled"] - result.pooler_output).abs().max() < 1e-10
    save(f"{FOLDER}/plain", found)
    save(f"{FOLDER}/timm", pooled)

    counts = {}
    for name, (dims, depths) in PUBLISHED.items():
        with torch.device("meta"):
            counted = sum(p.numel() for p in DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=dims, depths=depths)).parameters())
            same = sum(p.numel() for p in timm.create_model(f"convnext_{name}.dinov3_lvd1689m").parameters())
        assert counted == same, (name, counted, same)
        counts[f"dinov3_convnext_{name}"] = counted
    save_json(f"{FOLDER}/counts.json", counts)


if __name__ == "__main__":
    main()
