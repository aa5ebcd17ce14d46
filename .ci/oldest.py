"""Prints constraints that pin the dependencies of argosy and its extras to the oldest versions that it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

#: Extras for development: the age of these tools does not matter to users.
TOOLS = ("devkit", "test", "services", "benchmarks", "docs", "release", "dev")

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
extras = [needs for name, needs in project["optional-dependencies"].items() if name not in TOOLS]
for need in [*project["dependencies"], *(need for needs in extras for need in needs)]:
    found = re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", need)
    if found and found[1] != "argosy":
        # publicsuffixlist adds the date of its list as a fourth part
        print(f"{found[1]}=={found[2]}{'.*' if found[2].count('.') == 2 else ''}")
