#!/usr/bin/env python3
"""Checks lib/ and src/ for circular dependencies between files or folders, and for upward ones.

    [NM=nm] structure.py BUILD      BUILD holds the objects of a build

Dependencies are #include lines, and symbols that one object uses from another (nm). FLOORS lists the
folders from the lowest layer to the highest: a file may use its own layer and those below. The last line
is: N passed, N failed, N skipped.
"""

import collections
import os
import re
import subprocess
import sys

# From the lowest layer to the highest; "lib" and "src" are the files directly in these folders.
FLOORS = [
    ["include/ptq"],
    ["lib/base"],
    ["lib/kernel"],
    ["lib/linalg"],
    ["lib/store"],
    ["lib"],
    ["lib/format"],
    ["lib/method"],
    ["lib/linear"],
    ["src/console", "src/text", "src/rows"],
    ["src/jinja"],
    ["src/chat"],
    ["src/corpus"],
    ["src/checkpoint"],
    ["src/model"],
    ["src/gguf"],
    ["src/convert"],
    ["src/calibrate", "src/eval", "src/generate"],
    ["src/report", "src/bench"],
    ["src"],
]


def files():
    for top in ("lib", "src", "include"):
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.join(folder, name)


def includes(path, known):
    for line in open(path, encoding="utf-8"):
        match = re.match(r'#include [<"]([^>"]+)[>"]', line)
        if not match:
            continue
        name = match.group(1)
        for folder in (os.path.dirname(path), "lib", "src", "include"):
            there = os.path.normpath(os.path.join(folder, name))
            if there in known:
                yield there
                break


def symbols(build, sources):
    """What each object defines and what it takes from others."""
    defined, used = {}, {}
    for path in sources:
        obj = os.path.join(build, path[:-2] + ".o")
        out = subprocess.run([os.environ.get("NM", "nm"), obj], capture_output=True, text=True, check=True).stdout
        used[path] = set()
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                used[path].add(name)
            elif kind in "TDRBVW":
                defined[name] = path
    return defined, used


def circles(arrows):
    """The strongly connected components of more than one node (Tarjan's algorithm)."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while True:
                other = stack.pop()
                on_stack.discard(other)
                component.append(other)
                if other == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def main():
    build = sys.argv[1]
    known = set(files())
    sources = sorted(p for p in known if p.endswith(".c"))
    arrows = collections.defaultdict(set)  # between files
    for path in known:
        for other in includes(path, known):
            arrows[path].add(other)
    defined, used = symbols(build, sources)
    for path in sources:
        for name in used[path]:
            if name in defined and defined[name] != path:
                arrows[path].add(defined[name])

    floor = {folder: i for i, folders in enumerate(FLOORS) for folder in folders}
    passed, failures = 0, []
    folders = collections.defaultdict(set)
    for path, others in arrows.items():
        folder = os.path.dirname(path)
        if folder not in floor:
            failures.append("%s is in no layer" % folder)
            continue
        for other in others:
            there = os.path.dirname(other)
            if there != folder:
                folders[folder].add(there)
            if floor.get(there, len(FLOORS)) > floor[folder]:
                failures.append("%s uses %s, which is in a higher layer" % (path, other))
            else:
                passed += 1
    for what, graph in (("files", arrows), ("folders", folders)):
        found = circles(graph)
        failures += ["circular dependency of %s: %s" % (what, ", ".join(c)) for c in found]
        passed += not found
    names = collections.Counter(os.path.basename(p) for p in sources)
    twice = sorted(n for n, count in names.items() if count > 1)
    failures += ["several files are named %s" % n for n in twice]
    passed += not twice
    for failure in sorted(set(failures)):
        print("FAILED: " + failure)
    print("%d passed, %d failed, 0 skipped" % (passed, len(set(failures))))
    return bool(failures)


sys.exit(main())
