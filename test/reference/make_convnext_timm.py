"""Makes tiny random ConvNeXts of both versions as timm and transformers' wrapper of timm save them.

    python test/reference/make_convnext_timm.py

test/fixtures/convnext-timm/NAME/: the folder, with `reference.safetensors`: `pixels` [1, 3, 32, 32] and `logits` in f64 (those of `wrapped` are those of `plain`). Every parameter is random. The hidden
layer of `hidden` is as wide as the last stage, as in the published model.
"""

import json
import shutil

import timm
import torch
from safetensors.torch import save_file
from timm.models._hub import save_for_hf
from transformers import TimmWrapperForImageClassification

from backbones import FIXTURES, pictures, randomise

ROOT = FIXTURES / "convnext-timm"
TINY = dict(dims=(6, 8, 10, 12), depths=(1, 2, 1, 1), num_classes=5)
MODELS = {
    "plain": ("convnext_tiny", {}),
    "convolutions": ("convnext_atto", dict(act_layer="gelu_tanh", norm_eps=1e-3)),
    "first": ("convnext_tiny_hnf", {}),
    "hidden": ("convnext_large_mlp", dict(head_hidden_size=12)),
    "second": ("convnextv2_tiny", {}),
    "second_convolutions": ("convnextv2_atto", {}),
}
LABELS = ["ant", "bee", "cat", "dog", "eel"]


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    for seed, (name, (architecture, changes)) in enumerate(MODELS.items()):
        args = {**TINY, **changes}
        model = randomise(timm.create_model(architecture, **args), 60 + seed)
        folder = ROOT / name
        folder.mkdir(parents=True)
        save_for_hf(model, folder, safe_serialization=True, model_args=args, model_config=dict(label_names=LABELS) if name == "plain" else None)
        (pixels,) = pictures(70 + seed, (1, 3, 32, 32))
        with torch.no_grad():
            logits = model.double()(pixels.double())
        save_file({"pixels": pixels, "logits": logits.float()}, folder / "reference.safetensors")
        print(name, logits.std())
    wrapped = ROOT / "wrapped"
    shutil.copytree(ROOT / "plain", wrapped, ignore=shutil.ignore_patterns("reference.*"))
    config = json.loads((wrapped / "config.json").read_text())
    for field in ("num_classes", "in_chans", "global_pool"):
        config["model_args"].pop(field, None)
    (wrapped / "config.json").write_text(json.dumps(config))
    TimmWrapperForImageClassification.from_pretrained(wrapped).save_pretrained(wrapped)
    for file in ROOT.glob("*/config.json"):
        file.write_text(json.dumps(json.loads(file.read_text()), indent=2) + "\n")
    for file in ROOT.glob("*/*"):
        file.chmod(0o644)


if __name__ == "__main__":
    main()
