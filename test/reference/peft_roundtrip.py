"""Adapter folders there and back: what Espalier writes is loaded with transformers and peft, and peft writes one that Espalier reads.

    python test/reference/peft_roundtrip.py

For each test/fixtures/peft/ours-*/ (written by `UPDATE_GOLDEN=1 npx vitest run test/api/adapters`): loads the folder onto test/fixtures/vit-grey, writes
the logits of its pixels, worked out in f64, as reference.safetensors, and prints how far they are from Espalier's (ours.safetensors).
Makes test/fixtures/peft/theirs-dora/: a random DoRA adapter with a classifier as peft saves it, and reference.safetensors likewise.
"""

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import ViTForImageClassification

from data import ROOT

FIXTURES = ROOT / "test" / "fixtures"
BASE = FIXTURES / "vit-grey"


def base() -> ViTForImageClassification:
    return ViTForImageClassification.from_pretrained(BASE, attn_implementation="eager").eval()


def logits(model) -> torch.Tensor:
    pixels = load_file(BASE / "reference.safetensors")["pixels"]
    with torch.no_grad():
        return model.double().eval()(pixels.double()).logits


def theirs() -> None:
    torch.manual_seed(5)
    config = LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=["q_proj", "v_proj", "fc2"], rank_pattern={"fc2": 3},
                        modules_to_save=["classifier"])
    model = get_peft_model(base(), config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.copy_(torch.randn_like(p) * 0.3 + float("magnitude" in name))
    folder = FIXTURES / "peft" / "theirs-dora"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace(str(BASE), "../../vit-grey"))
    save_file({"logits": logits(model).float()}, folder / "reference.safetensors")
    print("theirs-dora", logits(base()).sub(logits(model)).abs().max().item(), "from the plain model")


def ours() -> None:
    for folder in sorted((FIXTURES / "peft").glob("ours-*")):
        model = PeftModel.from_pretrained(base(), folder)
        found = logits(model)
        save_file({"logits": found.float()}, folder / "reference.safetensors")
        written = load_file(folder / "ours.safetensors")["logits"]
        far = (found - written).abs().max().item()
        print(folder.name, "largest logit", found.abs().max().item(), "largest difference from Espalier's", far)
        assert far < 2e-6 * found.abs().max().item()


if __name__ == "__main__":
    theirs()
    ours()
