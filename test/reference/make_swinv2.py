"""Makes tiny random Swins V2 as transformers and timm save them.

    python test/reference/make_swinv2.py

test/fixtures/swinv2/classifier: a Swinv2ForImageClassification whose grids of 10 and 5 windows of 3 do not divide, and whose third stage is one window; `pixels`
[2, 3, 20, 20] and `logits` in f64; `larger.*` is of images of 28 with the same weights.
test/fixtures/swinv2/timm: a folder of timm's, with windows of another size in pretraining, likewise; `larger.*` is of images of 28, `window.*` of these with windows of
4 and those of 3 as pretraining's. `wrapper.json` is what transformers makes of its configuration.
One scale of logits is above the largest that is let through.
"""

import math

import timm
import torch
from transformers import Swinv2Config, Swinv2ForImageClassification, Swinv2Model

from backbones import FIXTURES, pictures, randomise, save, save_json, timm_folder

TINY = dict(image_size=20, patch_size=2, embed_dim=8, depths=[2, 2, 1], num_heads=[1, 2, 2], window_size=3, mlp_ratio=2.0, num_labels=5,
            pretrained_window_sizes=[0, 0, 0])
PROCESSOR = dict(image_processor_type="ViTImageProcessor", do_resize=True, size={"height": 20, "width": 20}, resample=3, do_rescale=True,
                 rescale_factor=1 / 255, do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def sharpened(model, seed):
    """Scales of logits near what they start as, and in the last stage one that is clamped; their parameters are logarithms."""
    generator = torch.Generator().manual_seed(seed)
    scales = [p for name, p in model.named_parameters() if name.endswith("logit_scale")]
    with torch.no_grad():
        for p in scales:
            p.copy_(math.log(8) + 0.3 * torch.randn(p.shape, generator=generator))
        scales[-1][0] = 5
    return model


def main():
    first, larger = pictures(181, (2, 3, 20, 20), (1, 3, 28, 28))
    model = sharpened(randomise(Swinv2ForImageClassification(Swinv2Config(**TINY)), 182), 183)
    model.save_pretrained(FIXTURES / "swinv2" / "classifier")
    save_json("swinv2/classifier/preprocessor_config.json", PROCESSOR)
    save_json("swinv2/classifier/names.json", {n: list(p.shape) for n, p in model.named_parameters()})
    model = model.double()
    with torch.no_grad():
        found = {"pixels": first, "logits": model(first.double()).logits}
        found |= {"larger.pixels": larger, "larger.logits": model(larger.double()).logits}
    save("swinv2/classifier", found)

    args = dict(patch_size=2, embed_dim=8, depths=(2, 2, 1), num_heads=(1, 2, 2), mlp_ratio=2, num_classes=5)
    make = lambda image, window, trained: timm.create_model("swinv2_tiny_window8_256", img_size=image, window_size=window, pretrained_window_sizes=trained, **args)
    saved = sharpened(randomise(make(20, 3, (2, 2, 1)), 184), 185)
    timm_folder("swinv2/timm", saved)
    found = {"pixels": first, "logits": saved.double()(first.double())}
    for prefix, window, trained in (("larger.", 3, (2, 2, 1)), ("window.", 4, (3, 3, 3))):
        other = make(28, window, trained).eval()
        other.load_state_dict(saved.state_dict())
        with torch.no_grad():
            found |= {f"{prefix}pixels": larger, f"{prefix}logits": other.double()(larger.double())}
    save("swinv2/timm", found)
    counts()


def counts():
    sizes = {"tiny_window8_256": (96, 6, 3, 8), "tiny_window16_256": (96, 6, 3, 16), "small_window8_256": (96, 18, 3, 8), "small_window16_256": (96, 18, 3, 16),
             "base_window8_256": (128, 18, 4, 8), "base_window16_256": (128, 18, 4, 16), "base_window12_192": (128, 18, 4, 12),
             "base_window12to16_192to256": (128, 18, 4, 16), "base_window12to24_192to384": (128, 18, 4, 24), "large_window12_192": (192, 18, 6, 12),
             "large_window12to16_192to256": (192, 18, 6, 16), "large_window12to24_192to384": (192, 18, 6, 24)}
    found = {}
    for size, (dim, depth, heads, window) in sizes.items():
        config = Swinv2Config(embed_dim=dim, depths=[2, 2, depth, 2], num_heads=[heads, 2 * heads, 4 * heads, 8 * heads], window_size=window,
                              image_size=int(size.split("to")[-1].split("_")[-1]))
        with torch.device("meta"):
            found[f"swinv2_{size}"] = sum(p.numel() for p in Swinv2Model(config).parameters())
    save_json("swinv2/counts.json", found)


if __name__ == "__main__":
    main()
