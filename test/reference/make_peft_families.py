"""Makes a LoRA and a DoRA with the library `peft` on a tiny model of each family of backbones, as transformers and as timm build it.

    python test/reference/make_peft_families.py [CASE...]

test/fixtures/peft/bypassed: adapters that peft never calls. test/fixtures/peft/families/CASE-lora and CASE-dora: adapter folders as peft saves them, and `logits` for the `pixels` of the base's fixture as peft gives them when it
loads the folder (f64). `cases.json`: what a spec says of each; `names.json`: by case, dtype and shape of every tensor that a checkpoint of the real model holds.

    python test/reference/make_peft_families.py --check MERGED [CASE...]

MERGED is what `ESPALIER_MERGED=MERGED npx vitest run test/api/adapters/families.test.ts` writes: checkpoints that Espalier merged, and adapter folders that it exported.
Loads each checkpoint with transformers or timm, strictly, and each folder with peft, and holds what they give to the references.
"""

import json
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import timm
import timm.layers
import timm.models.convnext as convnext
import timm.models.vision_transformer as vit
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.tiny_vit import TinyVit

from backbones import FIXTURES
from make_asmlp import AsMlp
from peft_folders import PEFT, logits, tidy, trained, write

FAMILIES = PEFT / "families"


def by_transformers(name, folder):
    of = getattr(transformers, name)
    return lambda path=FIXTURES / folder: of.from_pretrained(path).eval()


def by_timm(make, file):
    def load(path=FIXTURES / file):
        model = make()
        path = Path(path)
        model.load_state_dict(load_file(path if path.suffix else path / "model.safetensors"), strict=True)
        return model.eval()
    return load


def hub(folder):
    """A model of the architecture that a folder of timm's Hub names."""
    config = json.loads((FIXTURES / folder / "config.json").read_text())
    return partial(timm.create_model, config["architecture"], **config["model_args"])


CASES = {}


def case(name, load, base, source, head, blocks, lora, dora, save, pixels="reference.safetensors"):
    """`lora` and `dora`: by targets of peft's, sites below `blocks` (or whole paths, which begin with `base.`)."""
    def sites(by):
        own = [s for s in by.values() if not s.startswith("base.")]
        return ", ".join([f"{blocks}.{{{', '.join(own)}}}"] + [s for s in by.values() if s.startswith("base.")])
    CASES[name] = dict(load=load, lora=dict(r=2, lora_alpha=3, target_modules=list(lora), modules_to_save=save and save.split()),
                       dora=dict(r=3, lora_alpha=2, target_modules=list(dora), use_dora=True),
                       spec=dict(base=base, source=source, head=head, lora=sites(lora), dora=sites(dora), pixels=str(Path(source.rsplit("/", 1)[0] if source.endswith(".safetensors") else source) / pixels)))


PARTS = dict(q_proj="attn.qkv.q", v_proj="attn.qkv.v")
VIT = dict(lora=PARTS | dict(fc1="mlp.fc1"), dora=dict(k_proj="attn.qkv.k", o_proj="attn.proj", fc2="mlp.fc2"))
CLIP = VIT | dict(dora=dict(k_proj="attn.qkv.k", out_proj="attn.proj", fc2="mlp.fc2"))
GATED = VIT | dict(lora=PARTS | dict(gate_proj="mlp.w12.gate", up_proj="mlp.w12.up"), dora=dict(o_proj="attn.proj", down_proj="mlp.w3"))
POINTWISE = dict(lora=dict(pwconv1="pwconv1", pwconv2="pwconv2"), dora=dict(pwconv1="pwconv1"))
FUSED = dict(lora={"qkv": "attn.qkv", "mlp.fc1": "mlp.fc1"}, dora={"qkv": "attn.qkv", "attn.proj": "attn.proj", "mlp.fc2": "mlp.fc2"})
PACKED = dict(lora={"qkv": "attn.qkv", "mlp.fc1": "mlp.w12"}, dora={"attn.proj": "attn.proj", "mlp.fc2": "mlp.w3"})
MLP = dict(lora={"mlp.fc1": "pwconv1", "mlp.fc2": "pwconv2"}, dora={"mlp.fc2": "pwconv2"})
# Where a network reads the weight of its `qkv` itself, peft's adapter on that is not called (and would only be there once it is merged).
APART = dict(lora={"attn.proj": "attn.proj", "mlp.fc1": "mlp.fc1"}, dora={"mlp.fc2": "mlp.fc2"})
BLOCKS, STAGES = "base.blocks[*]", "base.stages[*].blocks[*]"
TOKEN, MEAN = "classify(base)", "classify(base, pool: mean)"
FIVE = "classify(base, classes: 5)"

HF = lambda family: f"{family}ForImageClassification"
case("vit", by_transformers(HF("ViT"), "peft/forms/base"), "vit_auto()", "peft/forms/base", TOKEN, BLOCKS, **VIT, save="classifier", pixels="../../../timm/plain/reference.safetensors")
case("deit", by_transformers(HF("DeiT"), "timm/deit"), "deit_auto()", "timm/deit", TOKEN, BLOCKS, **VIT, save="classifier")
case("dinov2", by_transformers(HF("Dinov2"), "dinov2/plain"), "dinov2_auto(image: 24)", "dinov2/plain", "classify(base, pool: cls_mean)", BLOCKS, **VIT, save="classifier")
case("dinov2-registers", by_transformers(HF("Dinov2WithRegisters"), "dinov2/registers"), "dinov2_registers_auto(image: 24)", "dinov2/registers",
     "classify(base, pool: cls_mean)", BLOCKS, **GATED, save="classifier")
case("clip", by_transformers(HF("CLIP"), "clip/classifier"), "clip_auto()", "clip/classifier", MEAN, BLOCKS, **CLIP, save="classifier")
case("siglip", by_transformers(HF("Siglip"), "siglip/classifier"), "siglip_auto()", "siglip/classifier", MEAN, BLOCKS,
     lora=PARTS | {"layers.0.mlp.fc1": "base.blocks[0].mlp.fc1"}, dora={"k_proj": "attn.qkv.k", "self_attn.out_proj": "attn.proj", "layers.1.mlp.fc2": "base.blocks[1].mlp.fc2"},
     save="classifier")
case("swin", by_transformers(HF("Swin"), "swin/classifier"), "swin_auto()", "swin/classifier", TOKEN, STAGES, **VIT, save="classifier")
case("swinv2", by_transformers(HF("Swinv2"), "swinv2/classifier"), "swinv2_auto()", "swinv2/classifier", TOKEN, STAGES,
     lora=dict(query="attn.qkv.q", value="attn.qkv.v") | {"intermediate.dense": "mlp.fc1"}, dora={"key": "attn.qkv.k", "attention.output.dense": "attn.proj"}, save="classifier")
case("convnext", by_transformers(HF("ConvNext"), "convnext"), "convnext_auto()", "convnext", TOKEN, STAGES, **POINTWISE, save="classifier")
case("convnextv2", by_transformers(HF("ConvNextV2"), "convnextv2/classifier"), "convnextv2_auto()", "convnextv2/classifier", TOKEN, STAGES, **POINTWISE, save="classifier")

case("beit", by_transformers(HF("Beit"), "beit/classifier"), "beit_auto()", "beit/classifier", TOKEN, BLOCKS, **VIT, save="classifier")
UP = VIT | dict(lora=PARTS | dict(up_proj="mlp.fc1"), dora=dict(k_proj="attn.qkv.k", o_proj="attn.proj", down_proj="mlp.fc2"))
case("dinov3", by_transformers("DINOv3ViTModel", "dinov3/plain"), "dinov3_auto(image: 24)", "dinov3/plain", None, BLOCKS, **UP, save=None)
case("dinov3-gated", by_transformers("DINOv3ViTModel", "dinov3/gated"), "dinov3_auto(image: 24)", "dinov3/gated", None, BLOCKS, **GATED, save=None)

case("vit-timm", by_timm(hub("timm/plain"), "timm/plain/model.safetensors"), "vit_auto()", "timm/plain", TOKEN, BLOCKS, **FUSED, save="head")
case("deit-timm", by_timm(hub("timm/distilled"), "timm/distilled/model.safetensors"), "deit_auto()", "timm/distilled", TOKEN, BLOCKS, **FUSED, save="head head_dist")
case("dinov2-timm", by_timm(partial(vit.VisionTransformer, img_size=24, patch_size=4, embed_dim=16, depth=2, num_heads=2, init_values=1e-5, reg_tokens=3, no_embed_class=True, mlp_ratio=3,
                                    mlp_layer=timm.layers.SwiGLUPacked, act_layer=torch.nn.SiLU, num_classes=5), "dinov2/timm/model.safetensors"),
     "dinov2_auto(dim: 16, depth: 2, heads: 2, patch: 4, swiglu: true, hidden: 24, registers: 3, class_position: false, table_image: 24, image: 24)",
     "dinov2/timm/model.safetensors", FIVE, BLOCKS, **PACKED, save="head")
case("clip-timm", by_timm(partial(vit.VisionTransformer, img_size=24, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, pre_norm=True, act_layer="quick_gelu",
                                  norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), num_classes=5), "clip/timm/model.safetensors"),
     "clip_auto(dim: 16, depth: 2, heads: 2, hidden: 32, patch: 4, table_image: 24, image: 24, antialias: true)", "clip/timm/model.safetensors", FIVE, BLOCKS, **FUSED, save="head")
case("siglip-timm", by_timm(partial(vit.VisionTransformer, img_size=26, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5, class_token=False, global_pool="map",
                                    act_layer="gelu_tanh", num_classes=5), "siglip/timm/model.safetensors"),
     "siglip_auto(dim: 16, depth: 2, heads: 2, hidden: 24, patch: 4, table_image: 26, image: 26, antialias: true)", "siglip/timm/model.safetensors", FIVE, BLOCKS,
     lora={"qkv": "attn.qkv", "blocks.0.mlp.fc1": "base.blocks[0].mlp.fc1", "attn_pool.proj": "base.attn_pool.proj"},
     dora=FUSED["dora"] | {"mlp.fc2": "base.blocks[*].mlp.fc2, base.attn_pool.mlp.fc2"}, save="head")
case("swin-timm", by_timm(hub("swin/timm"), "swin/timm/model.safetensors"), "swin_auto()", "swin/timm", TOKEN, STAGES, **FUSED, save="head.fc")
case("swinv2-timm", by_timm(partial(SwinTransformerV2, img_size=20, patch_size=2, embed_dim=8, depths=(2, 2, 1), num_heads=(1, 2, 2), window_size=3, mlp_ratio=2, num_classes=5,
                                    pretrained_window_sizes=(2, 2, 1)), "swinv2/timm/model.safetensors"),
     "swinv2_auto(dim0: 8, depths: [2, 2, 1], heads: [1, 2, 2], patch: 2, mlp_ratio: 2, table_image: 20, pad_first: false, trained_windows: [2, 2, 1], window: 3)",
     "swinv2/timm/model.safetensors", FIVE, STAGES, **APART, save="head.fc")
case("beit-timm", by_timm(hub("beit/timm"), "beit/timm/model.safetensors"), "beit_auto(table_image: 16, patch: 4, dim: 8, depth: 2, heads: 2, hidden: 32, eps: 1e-6, activation: gelu)",
     "beit/timm/model.safetensors", FIVE, BLOCKS, **APART, save="head")
case("dinov3-timm", by_timm(hub("dinov3/timm"), "dinov3/timm/model.safetensors"), "dinov3_auto(image: 24)", "dinov3/timm", TOKEN, BLOCKS, **APART, save="head")
case("eva02-timm", by_timm(hub("eva02/fused"), "eva02/fused/model.safetensors"), "eva02_auto(image: 24)", "eva02/fused", TOKEN, BLOCKS,
     lora={"attn.proj": "attn.proj", "mlp.fc1": "mlp.w12"}, dora={"mlp.fc2": "mlp.w3"}, save="head")
case("eva02-timm-apart", by_timm(hub("eva02/apart"), "eva02/apart/model.safetensors"), "eva02_auto(image: 24)", "eva02/apart", TOKEN, BLOCKS,
     lora=PARTS | {"mlp.fc1_g": "mlp.w12.gate", "mlp.fc1_x": "mlp.w12.up"}, dora={"k_proj": "attn.qkv.k", "attn.proj": "attn.proj", "mlp.fc2": "mlp.w3"}, save="head")
NEXT = dict(depths=[1, 2, 1, 1], dims=[6, 8, 10, 12], num_classes=5)
V2 = dict(use_grn=True, ls_init_value=None)
NEXT_SIZES = "dims: [6, 8, 10, 12], depths: [1, 2, 1, 1], image: 32"
case("convnext-timm", by_timm(partial(convnext.ConvNeXt, **NEXT), "convnextv2/timm_first/model.safetensors"), f"convnext_auto({NEXT_SIZES})",
     "convnextv2/timm_first/model.safetensors", FIVE, STAGES, **MLP, save="head.fc")
case("convnextv2-timm", by_timm(partial(convnext.ConvNeXt, **NEXT, **V2), "convnextv2/timm/model.safetensors"), f"convnextv2_auto({NEXT_SIZES})",
     "convnextv2/timm/model.safetensors", FIVE, STAGES, **MLP, save="head.fc")
case("convnextv2-timm-conv", by_timm(partial(convnext.ConvNeXt, **NEXT, **V2, conv_mlp=True), "convnextv2/timm_conv/model.safetensors"), f"convnextv2_auto({NEXT_SIZES})",
     "convnextv2/timm_conv/model.safetensors", FIVE, STAGES, **MLP, save="head.fc")
case("tinyvit-timm", by_timm(partial(TinyVit, num_classes=5, embed_dims=(4, 8, 8, 12), depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 3), window_sizes=(0, 7, 5, 2), drop_path_rate=0.0),
                             "tinyvit/timm.safetensors"),
     "tiny_vit(image: 64, dims: [4, 8, 8, 12], depths: [1, 1, 2, 1], heads: [1, 2, 2, 3], windows: [0, 7, 5, 2])", "tinyvit/timm.safetensors", FIVE, "base.stages[1..].blocks[*]",
     **FUSED, save="head.fc")


case("dinov3-convnext", by_transformers("DINOv3ConvNextModel", "dinov3-convnext/plain"), "dinov3_convnext_auto()", "dinov3-convnext/plain", None, STAGES,
     lora=dict(pointwise_conv1="pwconv1", pointwise_conv2="pwconv2"), dora=dict(pointwise_conv2="pwconv2"), save=None)
case("as-mlp", by_timm(partial(AsMlp, 12, (2, 1), 5), "asmlp/model.safetensors"), "as_mlp_auto(image: 24, dim0: 12, depths: [2, 1], shift_size: 5)", "asmlp/model.safetensors", FIVE, STAGES,
     lora={"axial_shift.conv1": "axial_shift.conv1", "conv2_1": "axial_shift.conv2_1", "mlp.fc1": "mlp.fc1"},
     dora={"conv2_2": "axial_shift.conv2_2", "conv3": "axial_shift.conv3", "mlp.fc2": "mlp.fc2"}, save="head")
case("sam", by_transformers("SamVisionModel", "sam/vision"), "sam_auto()", "sam/vision", None, BLOCKS, lora={"attn.qkv": "attn.qkv", "lin1": "mlp.lin1"},
     dora={"attn.qkv": "attn.qkv", "attn.proj": "attn.proj", "lin2": "mlp.lin2"}, save=None)

# Adapters on modules whose weight the network reads itself: peft never calls them.
PASSED = {
    "beit-timm": (CASES["beit-timm"]["load"], "beit/timm", ["qkv"], logits),
    "siglip": (by_transformers("SiglipVisionModel", "siglip/model"), "siglip/model", ["head.attention.out_proj"], lambda model, x: model.double().eval()(x.double()).pooler_output),
}


@torch.no_grad()
def passed(name):
    load, source, targets, answer = PASSED[name]
    path, pixels = PEFT / "bypassed" / name, load_file(FIXTURES / source / "reference.safetensors")["pixels"]
    model = trained(get_peft_model(load(), LoraConfig(r=2, lora_alpha=3, target_modules=targets)), 250)
    model.save_pretrained(path)
    (path / "README.md").unlink(missing_ok=True)
    tidy(path / "adapter_config.json")
    plain = answer(load(), pixels)
    assert (answer(model, pixels) - plain).abs().max() < 1e-12, "it is called"
    merged = PeftModel.from_pretrained(load(), path).double().merge_and_unload()
    found = answer(merged, pixels)
    assert (found - plain).abs().max() > 0.01, "it is not there once it is merged"
    save_file({"merged": found.float().contiguous()}, path / "reference.safetensors")


def pixels_of(spec):
    return load_file(FIXTURES / spec["pixels"])["pixels"]


def names_of(model):
    """What a checkpoint of the model holds: its state, or for transformers what it saves."""
    if isinstance(model, transformers.PreTrainedModel):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            state = load_file(Path(folder) / "model.safetensors")
    else:
        state = model.state_dict()
    return {n: [str(t.dtype).removeprefix("torch."), *t.shape] for n, t in sorted(state.items())}


def make(chosen):
    FAMILIES.mkdir(parents=True, exist_ok=True)
    for seed, (name, c) in enumerate(CASES.items()):
        for kind in ("lora", "dora"):
            if not chosen or name in chosen:
                write(f"families/{name}-{kind}", c["load"], c[kind], pixels_of(c["spec"]), 200 + seed)
    for name in PASSED:
        if not chosen or f"bypassed-{name}" in chosen:
            passed(name)
    names = {n: names_of(c["load"]()) for n, c in CASES.items()}
    (FAMILIES / "names.json").write_text("{\n" + ",\n".join(f'  {json.dumps(n)}: {json.dumps(v, separators=(",", ":"))}' for n, v in names.items()) + "\n}\n")
    specs = {n: c["spec"] for n, c in CASES.items()}
    (FAMILIES / "cases.json").write_text(json.dumps(specs, indent=2) + "\n")


def strictly(c, folder):
    """The merged checkpoint in the real model; transformers' names are those of its files, which it turns into those of its modules."""
    base = c["load"]()
    if not isinstance(base, transformers.PreTrainedModel):
        return c["load"](folder)
    model, info = type(base).from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), (folder, info)
    return model.eval()


def check(root, chosen):
    worst = {"merged": 0.0, "exported": 0.0}
    for name, c in CASES.items():
        if chosen and name not in chosen:
            continue
        for kind in ("lora", "dora"):
            want = load_file(FAMILIES / f"{name}-{kind}" / "reference.safetensors")["logits"]
            pixels, largest = pixels_of(c["spec"]), want.abs().max().item()
            found = {"merged": logits(strictly(c, root / f"{name}-{kind}-merged"), pixels)}
            with warnings.catch_warnings():
                # A tensor of the folder that peft does not take, or one that it misses, is a warning.
                warnings.filterwarnings("error", message=".*(missing|unexpected).*")
                model = PeftModel.from_pretrained(c["load"](), root / f"{name}-{kind}-exported")
                found["exported"] = logits(model, pixels)
            far = {what: (t - want).abs().max().item() / largest for what, t in found.items()}
            print(f"{name}-{kind}: " + ", ".join(f"{what} {value:.1e}" for what, value in far.items()) + " of the largest logit from peft's")
            assert max(far.values()) < 1e-5, name
            worst = {what: max(value, far[what]) for what, value in worst.items()}
    print(len(chosen or CASES), "models, 2 adapters each; farthest:", worst)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(Path(sys.argv[2]), sys.argv[3:])
    else:
        make(sys.argv[1:])
