"""What backbones give for pictures that are no squares, with the weights of their own fixtures.

    python test/reference/make_oblong.py

test/fixtures/oblong.safetensors: by case, `CASE.pixels` [1, 3, h, w] and `CASE.want` in f64: logits, pooled or last hidden states, as `oblong.test.ts` says. Positions are resampled, or turned, by the
real code: transformers with `interpolate_pos_encoding`, SigLIP 2 (NaFlex) by its `spatial_shapes`, timm with `img_size=(h, w)` and its filter of checkpoints. AS-MLP is `make_asmlp.py`'s.
"""

import json
from functools import partial

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models import beit, eva, vision_transformer

from backbones import FIXTURES, pictures
from make_asmlp import AsMlp

SIDES = {4: [(16, 32), (28, 20)], 8: [(32, 64)]}


def hugging(name, folder, key="logits", **options):
    model = getattr(transformers, name).from_pretrained(FIXTURES / folder).double().eval()
    return lambda x: model(x, **options)[key]


def naflex(model, x):
    """As its image processor cuts pictures into patches."""
    p = model.config.patch_size
    rows, columns = x.shape[2] // p, x.shape[3] // p
    patches = x.reshape(1, 3, rows, p, columns, p).permute(0, 2, 4, 3, 5, 1).reshape(1, rows * columns, -1)
    # Padded, as for a budget of more patches, with what is not to be looked at.
    filled = torch.cat([patches, torch.zeros(1, 5, patches.shape[-1], dtype=patches.dtype)], 1)
    mask = (torch.arange(filled.shape[1]) < rows * columns).long()[None]
    return model(filled, pixel_attention_mask=mask, spatial_shapes=torch.tensor([[rows, columns]])).pooler_output


def of_timm(folder, module, x):
    config = json.loads((FIXTURES / folder / "config.json").read_text())
    args = {**config["model_args"], "img_size": tuple(x.shape[2:])}
    model = timm.create_model(config["architecture"], **args).eval()
    model.load_state_dict(module.checkpoint_filter_fn(load_file(FIXTURES / folder / "model.safetensors"), model))
    return model.double()(x)


def flexible():
    model = transformers.Siglip2VisionModel.from_pretrained(FIXTURES / "siglip/naflex", attn_implementation="eager").double().eval()
    return partial(naflex, model)


def as_mlp():
    model = AsMlp(12, (2, 1), 5)
    model.load_state_dict(load_file(FIXTURES / "asmlp/model.safetensors"))
    return model.double().eval()


# Whose code is another's, or takes sides that its stages divide.
ONE = ("deit", "dinov2-registers", "clip", "as-mlp", "vit-timm", "dinov3-timm")
INTERPOLATED = dict(interpolate_pos_encoding=True)
CASES = {
    "vit": (lambda: hugging("ViTForImageClassification", "peft/forms/base", **INTERPOLATED), 4),
    "deit": (lambda: hugging("DeiTForImageClassification", "timm/deit", **INTERPOLATED), 4),
    "dinov2": (lambda: hugging("Dinov2ForImageClassification", "dinov2/plain"), 4),
    "dinov2-registers": (lambda: hugging("Dinov2WithRegistersForImageClassification", "dinov2/registers"), 4),
    "dinov3": (lambda: hugging("DINOv3ViTModel", "dinov3/plain", "last_hidden_state"), 4),
    "dinov3-convnext": (lambda: hugging("DINOv3ConvNextModel", "dinov3-convnext/plain", "last_hidden_state"), 8),
    "clip": (lambda: hugging("CLIPForImageClassification", "clip/classifier", **INTERPOLATED), 4),
    "siglip": (lambda: hugging("SiglipForImageClassification", "siglip/classifier", **INTERPOLATED), 4),
    "siglip2-naflex": (flexible, 4),
    "beit": (lambda: hugging("BeitForImageClassification", "beit/classifier", **INTERPOLATED), 4),
    "convnext": (lambda: hugging("ConvNextForImageClassification", "convnext"), 8),
    "as-mlp": (as_mlp, 4),
    "vit-timm": (lambda: partial(of_timm, "timm/plain", vision_transformer), 4),
    "dinov3-timm": (lambda: partial(of_timm, "dinov3/timm", eva), 4),
    "eva02-timm": (lambda: partial(of_timm, "eva02/fused", eva), 4),
    "beit-timm": (lambda: partial(of_timm, "beit/timm", beit), 4),
}


@torch.no_grad()
def main():
    found = {}
    for seed, (name, (load, patch)) in enumerate(CASES.items()):
        model = load()
        for i, (height, width) in enumerate(SIDES[patch]):
            if i > 0 and name in ONE:
                continue
            (pixels,) = pictures(300 + 10 * seed + i, (1, 3, height, width))
            want = model(pixels.double())
            found |= {f"{name}.{i}.pixels": pixels, f"{name}.{i}.want": want.float().contiguous().clone()}
            print(name, (height, width), tuple(want.shape), round(want.std().item(), 3))
    save_file(found, FIXTURES / "oblong.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
