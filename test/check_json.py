"""check_json.py FILE KEY...: FILE must be one strict JSON object with these keys; "rows.0.name" is a nested key."""
import json
import sys


def refuse(text):
    raise ValueError(text + " is no JSON")


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


with open(sys.argv[1], encoding="utf-8") as file:
    root = json.load(file, parse_constant=refuse, object_pairs_hook=unique)
if not isinstance(root, dict):
    sys.exit("not an object")
for path in sys.argv[2:]:
    value = root
    for key in path.split("."):
        if isinstance(value, list) and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            sys.exit(f"no key {path}")
