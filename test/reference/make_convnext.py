"""Makes a tiny random ConvNeXt as transformers saves it.

    python test/reference/make_convnext.py

test/fixtures/convnext/: the folder, with `reference.safetensors`: `pixels` [2, 3, 32, 32], `logits` as transformers computes them (f32), and
`logits64` (the same weights in f64). Every parameter is random, those too that transformers starts at 0, 1 or 1e-6.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import ConvNextConfig, ConvNextForImageClassification

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "convnext"

CONFIG = dict(image_size=32, patch_size=4, num_channels=3, hidden_sizes=[8, 12, 16, 24], depths=[1, 2, 1, 1], num_labels=5)
PROCESSOR = dict(image_processor_type="ConvNextImageProcessor", do_resize=True, size={"shortest_edge": 32}, crop_pct=0.875, resample=3,
                 do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.485, 0.456, 0.406],
                 image_std=[0.229, 0.224, 0.225])


def main():
    generator = torch.Generator().manual_seed(20)
    model = ConvNextForImageClassification(ConvNextConfig(**CONFIG)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            spread = 0.3 if p.ndim == 1 else 1.2 / (p[0].numel() ** 0.5)
            p.copy_(torch.randn(p.shape, generator=generator) * spread + (1 if name.endswith("norm.weight") else 0))
        pixels = torch.randn(2, 3, 32, 32, generator=generator)
        logits = model(pixels).logits
        FOLDER.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(FOLDER)
        logits64 = model.double()(pixels.double()).logits
    (FOLDER / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n")
    save_file({"pixels": pixels, "logits": logits, "logits64": logits64}, FOLDER / "reference.safetensors")


if __name__ == "__main__":
    main()
