"""Makes tiny random image encoders of SAM as transformers saves them.

    python test/reference/make_sam.py

test/fixtures/sam/vision: a SamVisionModel whose windows need padding, with one block that attends to all, and `reference.safetensors`: `pixels`
[2, 3, 40, 40] and the encoder's `features` in f64; `larger.pixels` [1, 3, 64, 64] and `larger.features`: the same weights on a larger image, with
relative positions resized by transformers, and absolute ones by torch (bilinear), as transformers does not resize these.
test/fixtures/sam/model: a SamModel with prompt encoder and mask decoder, whose encoder has windows without padding, no absolute positions and no bias of
queries, keys and values; `pixels` [2, 3, 32, 32] and `features`.
Every parameter is random, tables of positions too, which transformers starts at 0.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import SamConfig, SamModel, SamVisionConfig, SamVisionModel

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "sam"
VISION = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, image_size=40, patch_size=4, mlp_ratio=2.0, window_size=4,
              global_attn_indexes=[1], output_channels=6)
MODEL = dict(
    vision_config=dict(hidden_size=12, num_attention_heads=3, num_hidden_layers=2, image_size=32, patch_size=8, mlp_dim=20, window_size=2,
                       global_attn_indexes=[1], output_channels=8, qkv_bias=False, use_abs_pos=False),
    prompt_encoder_config=dict(hidden_size=8, image_size=32, patch_size=8, mask_input_channels=4),
    mask_decoder_config=dict(hidden_size=8, mlp_dim=8, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8))


def randomise(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            spread = 0.3 if p.ndim == 1 or "pos_embed" in name else 0.8 if "rel_pos" in name else 1.2 / (p[0].numel() ** 0.5)
            norm = "norm" in name and name.endswith("weight")
            p.copy_(torch.randn(p.shape, generator=generator) * spread + (1 if norm else 0))
    return model.eval()


def features(encoder, pixels):
    with torch.no_grad():
        return encoder(pixels.double()).last_hidden_state.contiguous()


def main():
    generator = torch.Generator().manual_seed(41)
    vision = randomise(SamVisionModel(SamVisionConfig(**VISION)), generator)
    pixels, larger = (torch.randn(*shape, generator=generator) for shape in [(2, 3, 40, 40), (1, 3, 64, 64)])
    vision.save_pretrained(FOLDER / "vision")
    encoder = vision.vision_encoder.double()
    found = {"pixels": pixels, "features": features(encoder, pixels)}
    encoder.patch_embed.image_size = (64, 64)
    grid = 64 // VISION["patch_size"]
    resized = torch.nn.functional.interpolate(encoder.pos_embed.permute(0, 3, 1, 2), (grid, grid), mode="bilinear").permute(0, 2, 3, 1)
    encoder.pos_embed = torch.nn.Parameter(resized)
    save_file({**found, "larger.pixels": larger, "larger.features": features(encoder, larger)}, FOLDER / "vision" / "reference.safetensors")

    model = randomise(SamModel(SamConfig(**MODEL)), generator)
    model.save_pretrained(FOLDER / "model")
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    found = {"pixels": pixels, "features": features(model.vision_encoder.double(), pixels)}
    save_file(found, FOLDER / "model" / "reference.safetensors")
    print({k: (tuple(v.shape), v.std().item()) for k, v in found.items()})


if __name__ == "__main__":
    main()
