"""Makes adapter folders in the forms that the library `peft` has, on one tiny ViT under the names of transformers and of timm.

    python test/reference/make_peft_forms.py

test/fixtures/peft/forms/base: a ViTForImageClassification with the weights of test/fixtures/timm/plain. test/fixtures/peft/forms/NAME: an adapter folder as
peft saved it, on that or on timm's model, and `logits` for the pixels of test/fixtures/timm/plain, as peft gives them when it loads the folder (f64).
"""

import json

import timm
import torch
from safetensors.torch import load_file
from transformers import ViTConfig, ViTForImageClassification

from backbones import FIXTURES
from peft_folders import PEFT, write

PLAIN = FIXTURES / "timm" / "plain"
BASE = PEFT / "forms" / "base"


def timm_base():
    args = json.loads((PLAIN / "config.json").read_text())
    model = timm.create_model(args["architecture"], **args["model_args"])
    model.load_state_dict(load_file(PLAIN / "model.safetensors"))
    return model.eval()


def transformers_base():
    return ViTForImageClassification.from_pretrained(BASE, attn_implementation="eager").eval()


def save_base():
    """timm's weights under the names of transformers."""
    saved = load_file(PLAIN / "model.safetensors")
    config = ViTConfig(image_size=16, patch_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=5,
                       layer_norm_eps=1e-6)
    model = ViTForImageClassification(config).eval()
    renamed = {}
    for name, t in saved.items():
        for old, new in [("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"), ("cls_token", "vit.embeddings.cls_token"),
                         ("pos_embed", "vit.embeddings.position_embeddings"), ("blocks.", "vit.layers."), ("norm1", "layernorm_before"),
                         ("norm2", "layernorm_after"), ("attn.proj", "attention.o_proj"), ("head.", "classifier.")]:
            name = name.replace(old, new)
        name = name.replace("norm.", "vit.layernorm.") if name.startswith("norm.") else name
        if "attn.qkv" in name:
            for part, rows in zip("qkv", t.chunk(3)):
                renamed[name.replace("attn.qkv", f"attention.{part}_proj")] = rows.contiguous()
        else:
            renamed[name] = t
    model.load_state_dict(renamed)
    model.save_pretrained(BASE)


TRANSFORMERS = {
    "lora-only": dict(r=2, target_modules=["q_proj", "v_proj", "fc1"], bias="lora_only"),
    "bias-all": dict(r=2, target_modules=["q_proj"], bias="all", modules_to_save=["classifier"]),
    "lora-bias": dict(r=2, lora_alpha=3, target_modules=["q_proj", "k_proj", "v_proj", "fc2"], lora_bias=True, alpha_pattern={"fc2": 5}),
    "rslora": dict(r=4, lora_alpha=3, target_modules=r"vit\.layers\.\d+\.(attention\.q_proj|mlp\.fc\d)", use_rslora=True, rank_pattern={"fc1": 2, "layers.1.mlp.fc2": 1}),
    "pissa": dict(r=2, lora_alpha=3, target_modules=["q_proj", "v_proj", "fc1"], init_lora_weights="pissa"),
    "pissa-dora": dict(r=2, lora_alpha=4, target_modules=["v_proj", "fc2"], init_lora_weights="pissa", use_dora=True),
    "pissa-converted": dict(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"], init_lora_weights="pissa"),
    "olora": dict(r=3, lora_alpha=2, target_modules=["k_proj", "o_proj", "fc1", "fc2"], init_lora_weights="olora", use_rslora=True, rank_pattern={"fc1": 2}),
    "orthogonal": dict(r=2, target_modules=["q_proj", "fc1"], init_lora_weights="orthogonal"),
    "mica": dict(r=2, target_modules=["q_proj", "fc1"], init_lora_weights="mica"),
    "eva": dict(r=2, target_modules=["q_proj", "fc1"], init_lora_weights="eva"),
    "some-layers": dict(r=2, target_modules=["fc1", "v_proj"], layers_to_transform=[1], layers_pattern="layers"),
    "all-linear": dict(r=1, target_modules="all-linear", exclude_modules=["o_proj", "classifier"], modules_to_save=["classifier"]),
    "saved": dict(r=2, target_modules=["fc2"], modules_to_save=["layers.1.attention", "layernorm", "classifier"]),
}
TIMM = {
    "timm-lora": dict(r=2, lora_alpha=3, target_modules=["qkv", "fc1"], modules_to_save=["head"]),
    "timm-dora": dict(r=2, lora_alpha=3, target_modules=["attn.qkv", "attn.proj"], use_dora=True),
    "timm-biases": dict(r=2, target_modules=["qkv", "fc2"], lora_bias=True, bias="all", modules_to_save=["head"]),
    "timm-pissa": dict(r=3, lora_alpha=2, target_modules=["qkv", "fc1"], init_lora_weights="pissa"),
    "timm-convolution": dict(r=2, target_modules=["patch_embed.proj"]),
    "timm-qkv-proj": dict(r=2, lora_alpha=3, target_modules=["qkv", "proj"], lora_bias=True, rank_pattern={"patch_embed.proj": 3}),
    "timm-dora-qkv-proj": dict(r=2, lora_alpha=3, target_modules=["qkv", "proj"], use_dora=True, alpha_pattern={"patch_embed.proj": 5}),
}


def main():
    save_base()
    pixels = load_file(PLAIN / "reference.safetensors")["pixels"]
    for seed, (name, config) in enumerate(TRANSFORMERS.items()):
        write(f"forms/{name}", transformers_base, config, pixels, seed, convert=name == "pissa-converted")
    for seed, (name, config) in enumerate(TIMM.items()):
        write(f"forms/{name}", timm_base, config, pixels, 100 + seed)


if __name__ == "__main__":
    torch.manual_seed(3)
    main()
