"""Makes tiny random TinyViTs: timm's, and the image encoder of MobileSAM, which has a stride of 1 before its last stage and a neck.

    python test/reference/make_tinyvit.py

test/fixtures/tinyvit/: `timm.safetensors` by timm's names; `mobile_sam.safetensors` by those of MobileSAM's checkpoint, with tensors of its decoder
beside them; `folded.safetensors`, the same encoder as it is exported, with BatchNorms in their convolutions (timm's `fuse`) and the biases of attention
pair by pair. `reference.safetensors` has `pixels` [2, 3, 64, 64], and what is computed in f64: `logits` of timm's model, `features` of the encoder, and
`gradient.<name>`, autograd of some of its parameters of the sum of the features times `weight`.
Every parameter and statistic is random. Windows of 7 and 5 need padding, one of 2 does not.
"""

import json
import re
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm import create_model
from timm.layers import LayerNorm2d
from timm.models._hub import save_for_hf
from timm.models.tiny_vit import ConvNorm, TinyVit

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "tinyvit"
CONFIG = dict(num_classes=5, embed_dims=(4, 8, 8, 12), depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 3), window_sizes=(0, 7, 5, 2), drop_path_rate=0.0)
NECK = 6


def randomise(module, generator):
    with torch.no_grad():
        for name, t in module.state_dict().items():
            if not t.is_floating_point():
                continue
            if name.endswith("running_var"):
                t.copy_(torch.rand(t.shape, generator=generator) + 0.5)
            else:
                spread = 0.3 if t.ndim == 1 else 0.5 if "attention_biases" in name else 1.2 / (t[0].numel() ** 0.5)
                norm = t.ndim == 1 and re.search(r"(bn|norm\w*|neck\.\d)\.weight$", name)
                t.copy_(torch.randn(t.shape, generator=generator) * spread + (1 if norm else 0))
    return module.eval()


class Encoder(torch.nn.Module):
    """MobileSAM's, of timm's parts."""

    def __init__(self):
        super().__init__()
        self.vit = TinyVit(**CONFIG)
        self.vit.stages[-1].downsample.conv2.conv.stride = (1, 1)
        dim = CONFIG["embed_dims"][-1]
        self.neck = torch.nn.Sequential(
            torch.nn.Conv2d(dim, NECK, 1, bias=False), LayerNorm2d(NECK, eps=1e-6),
            torch.nn.Conv2d(NECK, NECK, 3, padding=1, bias=False), LayerNorm2d(NECK, eps=1e-6))

    def forward(self, x):
        return self.neck(self.vit.forward_features(x))


RENAME = [
    (r"^vit\.patch_embed\.conv1\.", "patch_embed.seq.0."),
    (r"^vit\.patch_embed\.conv2\.", "patch_embed.seq.2."),
    (r"^vit\.stages\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample"),
    (r"^vit\.stages\.", "layers."),
    (r"^vit\.head\.norm\.", "norm_head."),
    (r"^vit\.head\.fc\.", "head."),
    (r"\.conv\.(weight|bias)$", r".c.\1"),
]


def authors(name):
    for pattern, to in RENAME:
        name = re.sub(pattern, to, name)
    return name


def fold(module):
    """Every ConvNorm as the one convolution that it is."""
    for name, child in list(module.named_children()):
        if isinstance(child, ConvNorm):
            one = torch.nn.Sequential()
            one.add_module("conv", child.fuse())
            setattr(module, name, one)
        else:
            fold(child)


GRADIENTS = ["stages.1.blocks.0.attn.attention_biases", "stages.2.blocks.1.attn.qkv.weight", "stages.0.blocks.0.conv2.conv.weight",
             "stages.2.downsample.conv1.bn.weight", "stages.3.blocks.0.local_conv.conv.weight"]


def gradients(encoder, pixels, weight):
    # Biases that were looked up without gradients are kept otherwise.
    encoder.apply(lambda m: m.attention_bias_cache.clear() if hasattr(m, "attention_bias_cache") else None)
    params = dict(encoder.vit.named_parameters())
    loss = (encoder(pixels.double()) * weight.double()).sum()
    return dict(zip((f"gradient.{n}" for n in GRADIENTS), (g.contiguous() for g in torch.autograd.grad(loss, [params[n] for n in GRADIENTS]))))


def timm_config(state):
    """What timm writes beside the weights of such a model, as `timm.json`."""
    model = create_model("tiny_vit_5m_224", **CONFIG)
    model.load_state_dict(state, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        save_for_hf(model, folder, safe_serialization=True)
        config = json.loads((Path(folder) / "config.json").read_text())
    (FOLDER / "timm.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    generator = torch.Generator().manual_seed(31)
    FOLDER.mkdir(parents=True, exist_ok=True)
    timm = randomise(TinyVit(**CONFIG), generator)
    encoder = randomise(Encoder(), generator)
    pixels = torch.randn(2, 3, 64, 64, generator=generator)
    save_file(timm.state_dict(), FOLDER / "timm.safetensors")
    timm_config(timm.state_dict())
    named = {f"image_encoder.{authors(n)}": t for n, t in encoder.state_dict().items()}
    beside = {"prompt_encoder.no_mask_embed.weight": torch.zeros(1, 2), "mask_decoder.iou_token.weight": torch.zeros(1, 2)}
    save_file({**named, **beside}, FOLDER / "mobile_sam.safetensors")
    with torch.no_grad():
        logits = timm.double()(pixels.double())
        features = encoder.double()(pixels.double()).contiguous()
    weight = torch.randn(features.shape, generator=generator)
    found = gradients(encoder, pixels, weight)
    with torch.no_grad():
        folded = {}
        fold(encoder)
        for n, t in encoder.state_dict().items():
            if n.startswith("vit.head."):
                continue
            if n.endswith("attention_biases"):
                attn = encoder.get_submodule(n.removesuffix(".attention_biases"))
                n, t = n.removesuffix("attention_biases") + "ab", t[:, attn.attention_bias_idxs]
            folded[authors(n)] = t.float().contiguous()
    save_file(folded, FOLDER / "folded.safetensors")
    save_file({"pixels": pixels, "logits": logits, "features": features, "weight": weight, **found}, FOLDER / "reference.safetensors")
    print(logits, features.shape, features.std())


if __name__ == "__main__":
    main()
