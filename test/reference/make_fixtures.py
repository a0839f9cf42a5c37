"""Makes the small references of the tests.

    python test/reference/make_fixtures.py

test/fixtures/vit-*/: tiny random ViTs as transformers saves them, with `reference.safetensors`: `pixels` [4, channels, image, image], `logits` as
transformers computes them (f32) and `logits64` (the same weights in f64).
test/fixtures/pil.safetensors: a picture (u8 [height, width, 3]) and what Pillow makes of it: resized, and as grey.
examples/fashion/images/: a few pictures of both data sets as PNG, each in a folder with the name of its class.
"""

import json
import re

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification

from data import FASHION, FASHION_NAMES, MNIST, ROOT, load

FIXTURES = ROOT / "test" / "fixtures"

# One fused with biases, saved in shards; one grey, without qkv biases; one whose sizes divide by nothing convenient, in bfloat16.
VITS = {
    "vit-shards": dict(image_size=24, patch_size=4, num_channels=3, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=64, layer_norm_eps=1e-12, num_labels=5),
    "vit-grey": dict(image_size=20, patch_size=5, num_channels=1, hidden_size=48, num_hidden_layers=2, num_attention_heads=3,
                     intermediate_size=64, layer_norm_eps=1e-6, qkv_bias=False, num_labels=3),
    "vit-odd": dict(image_size=30, patch_size=6, num_channels=3, hidden_size=36, num_hidden_layers=3, num_attention_heads=2,
                    intermediate_size=100, layer_norm_eps=1e-12, num_labels=7),
}
PREPROCESSORS = {
    "vit-shards": dict(image_processor_type="ViTImageProcessor", do_resize=True, size={"height": 24, "width": 24}, resample=3,
                       do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3),
    "vit-grey": dict(image_processor_type="ViTImageProcessor", do_resize=True, size=20, resample=2,
                     do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.1307], image_std=[0.3081]),
    "vit-odd": dict(image_processor_type="ViTImageProcessor", do_resize=True, size={"shortest_edge": 34}, resample=2, do_center_crop=True,
                    crop_size={"height": 30, "width": 30}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
                    image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
}


def make_vit(name: str) -> None:
    torch.manual_seed(sum(map(ord, name)))
    settings = dict(VITS[name])
    classes = settings.pop("num_labels")
    labels = {i: f"class {i}" for i in range(classes)}
    model = ViTForImageClassification(ViTConfig(**settings, id2label=labels, label2id={v: k for k, v in labels.items()},
                                                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            # Weights large enough that every layer matters to the result; gains near 1; nothing left at 0.
            p.copy_(torch.randn_like(p) * (0.1 if p.ndim == 1 else 1.2 / p[0].numel() ** 0.5 if p.ndim in (2, 4) else 0.5))
            if "norm" in key and key.endswith("weight"):
                p.add_(1)
    if name == "vit-odd":
        model = model.to(torch.bfloat16)
    folder = FIXTURES / name
    model.save_pretrained(folder, **({"max_shard_size": "60KB"} if name == "vit-shards" else {}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSORS[name], indent=2) + "\n")
    model = model.float()
    pixels = torch.randn(4, settings["num_channels"], settings["image_size"], settings["image_size"])
    with torch.no_grad():
        logits = model(pixels).logits
        logits64 = model.double()(pixels.double()).logits
    save_file({"pixels": pixels, "logits": logits.contiguous(), "logits64": logits64.contiguous()}, folder / "reference.safetensors")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(name, f"{size / 1000:.0f} kB, largest logit {logits.abs().max():.3f}, f32 off by {(logits - logits64).abs().max():.1e}")


def make_pil() -> None:
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:53, 0:71]
    smooth = np.stack([128 + 100 * np.sin(x / 7), 128 + 100 * np.cos(y / 5), 255 * ((x // 6 + y // 6) % 2)], -1)
    picture = Image.fromarray(np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8))
    out = {"picture": torch.from_numpy(np.array(picture)), "grey": torch.from_numpy(np.array(picture.convert("L")))}
    filters = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    for name, code in filters.items():
        for height, width in ((24, 24), (17, 71), (80, 96)):
            out[f"{name}_{height}x{width}"] = torch.from_numpy(np.array(picture.resize((width, height), code)))
    save_file(out, FIXTURES / "pil.safetensors")


def make_images() -> None:
    home = ROOT / "examples" / "fashion" / "images"
    for part, folder, names, each in (("digits", MNIST, [str(i) for i in range(10)], 2), ("clothes", FASHION, FASHION_NAMES, 1)):
        images, labels = load(folder, "t10k")
        for i, name in enumerate(names):
            where = home / part / re.sub(r'[/\\:*?"<>|]', "_", name)
            where.mkdir(parents=True, exist_ok=True)
            for index in (labels == i).nonzero().flatten()[:each].tolist():
                Image.fromarray(images[index].numpy()).save(where / f"{index:05}.png", optimize=True)


if __name__ == "__main__":
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name in VITS:
        make_vit(name)
    make_pil()
    make_images()
