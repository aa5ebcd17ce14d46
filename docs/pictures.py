"""Takes the pictures of the documentation: ``python docs/pictures.py``; needs Chromium and tmux.

It runs the demo in a terminal, and takes pictures of its screen (while it downloads in parallel, and at its end) and of
the page about the parallel download. Only the name of the temporary folder is replaced.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

STATIC = Path(__file__).parent / "_static"

#: The size of the terminal.
COLUMNS, ROWS = 88, 24

#: What the screen shows in the middle of the parallel download, and at the end.
MIDDLE = re.compile(r"4 threads:.*^ *[5-7]/12 ", re.DOTALL | re.MULTILINE)
END = re.compile(r"parallel\.html\s*\Z")


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        middle, end = _screens(folder)
        for file, screen in (("downloading.svg", middle), ("demo.svg", end)):
            (STATIC / file).write_text(_drawing(screen.replace(name, "~"), file.partition(".")[0]), "utf-8")
        _photograph(folder / "argosy-demo" / "parallel.html", STATIC / "run.png")


def _screens(folder: Path) -> tuple[str, str]:
    """Run the demo in a terminal; return its screen in the middle and at the end, with escape sequences."""
    server = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux")]
    python = Path(sys.executable)
    command = ["env", "-u", "NO_COLOR", f"PATH={python.parent}:/usr/bin:/bin", "COLORTERM=truecolor"]
    command += ["sh", "-c", "printf '$ argosy demo\\n'; argosy demo; sleep 600"]
    size = ["-x", str(COLUMNS), "-y", str(ROWS)]
    subprocess.run([*server, "new-session", "-d", *size, "-c", str(folder), *command], check=True)
    middle = ""
    try:
        for _ in range(1200):
            show = [*server, "capture-pane", "-p", "-e", "-J"]  # with the lines that were wrapped in one
            screen = subprocess.run(show, check=True, capture_output=True, text=True).stdout
            plain = Text.from_ansi(screen).plain
            if MIDDLE.search(plain):
                middle = middle or screen
            if END.search(plain):
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"The demo did not end:\n{plain}")
    finally:
        subprocess.run([*server, "kill-server"], check=False)
    return middle, screen


def _drawing(screen: str, name: str) -> str:
    """Return a screen as SVG, which loads no fonts from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in screen.rstrip().splitlines():
        text = Text.from_ansi(line)
        text.rstrip()
        console.print(text)
    svg = console.export_svg(title="argosy demo", unique_id=name)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def _photograph(page: Path, picture: Path) -> None:
    """Take a picture of the upper part of a page."""
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,686"]
    options = ["--virtual-time-budget=5000", f"--screenshot={picture}"]
    subprocess.run([*browser, *options, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
