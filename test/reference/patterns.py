"""What Python's re says of patterns on names, by peft's rule: fixtures/patterns.json. A pattern that Python refuses has null."""
import json, re, warnings
from pathlib import Path

warnings.simplefilter("ignore")
NAMES = [
    "vit.encoder.layer.1.attention.attention.query", "vit.encoder.layer.11.attention.attention.query", "query", "key",
    "blocks.0.attn.qkv", "blocks.12.mlp.fc1", "model.layers.3.self_attn.q_proj", "a-b", "a]b", "x{,2}", "xx", "xxx", "[:a", "lpha:]",
    "QUERY", "", "a.b", "fc\\1", "fc1\x08", "aé.query",
]
PATTERNS = [
    "query", ".query", "attention.query", r"layer\.1\.attention\.attention\.query", r"layer\.\d+\..*query", "^vit.encoder.layer.1.*.query",
    "(query|key)", "query|key", r"layer\.(?:[0-5]|1\d)\..*", r"[^.]+", r"[\w]+", r"\w+\.\d+\.\w+", "x{,2}", "x{,}", "x{2,}", "x{1}", "x{", "x{}",
    r"a[]]b", r"a[^]]b", "a[-]b", r"a[\]-]b", "[[:alpha:]]+", "[[]:a", "(?i)query", "(?i:QUERY)", "(?s).*", "q(?i)uery", "(?x)q u", "(?P<n>query)",
    "(?<n>query)", r"query\Z", r"query\z", r"\Aquery", "query$", r"\bquery\b", r"q\Query", r"\pL+", r"\x71uery", r"\u0071uery", r"\161uery",
    r"(q)\1uery", "a(?=.b)", "(?<=a)-b", "(?<!a)-b", "a++", "a*+", "(?>a)-b", "a**", "(a+)+", "(a*)*", "(x+x+)+y", r"fc\\1", "fc1[\\b]", "(", ")", "a)(b", "[", "*", "a{2,1}",
    "blocks.[0-9]+.mlp.fc[12]", r"blocks\.(\d|1[0-1])\.attn\.(qkv|proj)", ".*", "", "(?#no)query", r"\d", r"\.", r"q.*?y", r"(?:q){1,2}?uery",
]
found = []
for pattern in PATTERNS:
    try:
        matches = [name for name in NAMES if re.match(rf"(.*\.)?({pattern})$", name)]
        re.compile(pattern)
    except re.error:
        matches = None
    found.append({"pattern": pattern, "matches": matches})
Path(__file__).parent.joinpath("../fixtures/patterns.json").write_text(json.dumps({"names": NAMES, "patterns": found}, indent=1) + "\n")
