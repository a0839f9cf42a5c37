"""Makes tiny random image encoders of SAM as transformers saves them.

    python test/reference/make_sam.py

test/fixtures/sam/vision: a SamVisionModel whose windows need padding, with one block that attends to all, and `reference.safetensors`: `pixels`
[2, 3, 40, 40] and the encoder's `features` in f64, and `gradient.<name>`, autograd of some parameters of the sum of the features times `weight`;
`larger.pixels` [1, 3, 64, 64] and `larger.features`: the same weights on a larger image, with
relative positions resized by transformers, and absolute ones by torch (bilinear), as transformers does not resize these.
test/fixtures/sam/model: a SamModel with prompt encoder and mask decoder, whose encoder has windows without padding, no absolute positions and no bias of
queries, keys and values; `pixels` [2, 3, 32, 32] and `features`.
test/fixtures/sam/vision/preprocessor_config.json, and pictures.safetensors: pictures of several shapes, `<name>.in` [h, w, 3], and `<name>.out`
[3, 40, 40], what SamImageProcessor makes of them with Pillow. Resizes are horizontal first, as in preprocess.py.
Every parameter is random, tables of positions too, which transformers starts at 0.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import SamConfig, SamModel, SamVisionConfig, SamVisionModel
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

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


GRADIENTS = ["layers.0.attn.rel_pos_h", "layers.1.attn.rel_pos_w", "layers.2.attn.qkv.weight", "pos_embed", "patch_embed.projection.bias"]


def gradients(encoder, pixels, weight):
    params = dict(encoder.named_parameters())
    loss = (encoder(pixels.double()).last_hidden_state * weight.double()).sum()
    return dict(zip((f"gradient.{n}" for n in GRADIENTS), (g.contiguous() for g in torch.autograd.grad(loss, [params[n] for n in GRADIENTS]))))


def horizontal_first():
    """Pillow 13 begins with the vertical pass where it reckons that to be faster, which moves single values by one or two."""
    whole = Image.Image.resize

    def resize(self, size, resample=None, **more):
        return whole(whole(self, (size[0], self.height), resample, **more), size, resample, **more)

    Image.Image.resize = resize


def processed():
    horizontal_first()
    side = VISION["image_size"]
    processor = SamImageProcessorPil(size={"longest_edge": side}, pad_size={"height": side, "width": side})
    config = json.loads(processor.to_json_string()) | {"image_processor_type": "SamImageProcessor"}
    (FOLDER / "vision" / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n")
    random = np.random.default_rng(43)
    tensors = {}
    for name, (width, height) in dict(landscape=(97, 61), portrait=(33, 90), square=(64, 64), small=(17, 9), strip=(120, 3), exact=(40, 40)).items():
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[: height // 2, : width // 2] = 255
        made = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
        tensors[f"{name}.in"] = torch.from_numpy(pixels)
        tensors[f"{name}.out"] = torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))
    save_file(tensors, FOLDER / "vision" / "pictures.safetensors")


def main():
    generator = torch.Generator().manual_seed(41)
    vision = randomise(SamVisionModel(SamVisionConfig(**VISION)), generator)
    pixels, larger = (torch.randn(*shape, generator=generator) for shape in [(2, 3, 40, 40), (1, 3, 64, 64)])
    vision.save_pretrained(FOLDER / "vision")
    encoder = vision.vision_encoder.double()
    found = {"pixels": pixels, "features": features(encoder, pixels)}
    weight = torch.randn(found["features"].shape, generator=torch.Generator().manual_seed(42))
    found |= {"weight": weight, **gradients(encoder, pixels, weight)}
    encoder.patch_embed.image_size = (64, 64)
    grid = 64 // VISION["patch_size"]
    resized = torch.nn.functional.interpolate(encoder.pos_embed.permute(0, 3, 1, 2), (grid, grid), mode="bilinear").permute(0, 2, 3, 1)
    encoder.pos_embed = torch.nn.Parameter(resized)
    save_file({**found, "larger.pixels": larger, "larger.features": features(encoder, larger)}, FOLDER / "vision" / "reference.safetensors")

    processed()
    model = randomise(SamModel(SamConfig(**MODEL)), generator)
    model.save_pretrained(FOLDER / "model")
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    found = {"pixels": pixels, "features": features(model.vision_encoder.double(), pixels)}
    save_file(found, FOLDER / "model" / "reference.safetensors")
    print({k: (tuple(v.shape), v.std().item()) for k, v in found.items()})


if __name__ == "__main__":
    main()
