"""Takes the pictures of the documentation: ``python docs/pictures.py``; needs Chromium.

It runs the demo, and takes a picture of the page about its parallel download.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

STATIC = Path(__file__).parent / "_static"


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "argosy", "demo", "--quiet", "--directory", folder], check=True)
        page = Path(folder) / "parallel.html"
        browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        picture = [
            *browser,
            "--window-size=1200,825",
            "--virtual-time-budget=5000",
            f"--screenshot={STATIC / 'run.png'}",
        ]
        subprocess.run([*picture, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
