"""What scripts that make adapter folders with the library `peft` have in common."""

import json
import shutil
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from backbones import FIXTURES

PEFT = FIXTURES / "peft"


def trained(model, seed):
    """Every number that is trained moved by chance: as far as training would, and no B is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=generator) * 0.3)
    return model.eval()


def logits(model, pixels):
    with torch.no_grad():
        found = model.double().eval()(pixels.double())
    return found if isinstance(found, torch.Tensor) else found.logits if "logits" in found else found.last_hidden_state


def write(folder, make_base, config, pixels, seed, answer=logits, convert=False, key="logits", **reference):
    """
    An adapter that peft makes, trains by chance and saves, and what peft gives for `pixels` when it loads the folder again onto the base; the same merged by
    peft. Returns how far the adapter is from the plain base, as a share of the largest result.
    """
    path = PEFT / folder
    shutil.rmtree(path, ignore_errors=True)
    start = path / "start"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(make_base(), LoraConfig(**config))
        if convert:
            model.save_pretrained(start)
        trained(model, seed)
        model.save_pretrained(path, **(dict(path_initial_model_for_weight_conversion=str(start)) if convert else {}))
        shutil.rmtree(start, ignore_errors=True)
        before = answer(model, pixels)
        # As it is loaded by who gets the folder.
        again = PeftModel.from_pretrained(make_base(), path)
        found = answer(again, pixels)
        plain = answer(make_base(), pixels)
    largest = found.abs().max().item()
    far = (found - before).abs().max().item() / largest
    assert far < 2e-6, (folder, "loads as something else", far)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merged = answer(PeftModel.from_pretrained(make_base(), path).double().merge_and_unload(), pixels)
    far = (found - merged).abs().max().item() / largest
    assert far < 2e-6, (folder, "merges to something else", far)
    (path / "README.md").unlink(missing_ok=True)
    tidy(path / "adapter_config.json")
    save_file({key: found.float().contiguous(), **reference}, path / "reference.safetensors")
    change = (found - plain).abs().max().item() / largest
    print(f"{folder}: {sum(f.stat().st_size for f in path.iterdir())} bytes, largest {largest:.3f}, {change:.2f} of it from the plain base")
    assert change > 0.01, folder
    return path


def tidy(file: Path):
    """No path of this machine, and lists in an order."""
    config = json.loads(file.read_text())
    name = config.get("base_model_name_or_path")
    if name and str(FIXTURES) in name:
        config["base_model_name_or_path"] = "../" * len(file.parent.relative_to(FIXTURES).parts) + str(Path(name).relative_to(FIXTURES))
    for field, value in config.items():
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            config[field] = sorted(value)
    file.write_text(json.dumps(config, indent=2) + "\n")
