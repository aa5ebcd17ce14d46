"""The one command for all benchmarks: that it finds them and says what it measured, never how fast it was."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from benchmarks import document, nginx, profiles, programs, tools
from benchmarks.table import Cell, Goal, Table
from missing import need

FOLDER = Path(__file__).parent
SUPPORT = {
    "__main__", "document", "launch", "machine", "nginx", "programs", "table", "test_benchmarks", "tools"
}  # fmt: skip


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER), *arguments], capture_output=True, text=True, check=False, timeout=290
    )


def test_every_benchmark_is_found_and_says_what_it_measures() -> None:
    done = _run("--list")
    assert done.returncode == 0, done.stderr
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(listed) == {path.stem for path in FOLDER.glob("*.py")} - SUPPORT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["speed"], "no benchmark 'speed'"), (["--quick", "--document"], "too little for the document")],
)
def test_what_cannot_be_measured_is_said_at_once(arguments: list[str], message: str) -> None:
    done = _run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "durability",
        "gateway",
        "peers",
        "planning",
        "pool",
        "processes",
        "profiles",
        "rotation",
        "scaling",
        "startup",
        "cluster",
    ],
)
def test_figures_are_printed_and_written(name: str, tmp_path: Path) -> None:
    if name in {"durability", "gateway", "peers", "processes", "profiles", "scaling"}:
        need("/usr/sbin/nginx")
    if name == "cluster":
        need("redis-server")
    if name == "profiles":
        need(tools.program("py-spy") or "py-spy")
    done = _run(name, "--quick", "--json", str(tmp_path / "figures.json"))
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    for table in figures["benchmarks"][name]:
        assert table["rows"]
        assert f"**{table['title']}**" in done.stdout
    assert figures["machine"]["CPUs"]


def test_nginx_serves_files_and_waits_where_it_should() -> None:
    need("/usr/sbin/nginx")
    with nginx.nginx() as server:
        server.make(2, 1000)
        connection = http.client.HTTPConnection(server.url("").removeprefix("http://"))
        for path, body in ((f"{nginx.TINY}any", nginx.TINY_BODY), ("/f1", (server.files / "f1").read_bytes())):
            connection.request("GET", path)
            assert connection.getresponse().read() == body
        begun = time.perf_counter()
        connection.request("GET", "/late/f0")
        response = connection.getresponse()
        assert time.perf_counter() - begun >= nginx.DELAY
        assert response.read() == (server.files / "f0").read_bytes()
        connection.close()


def test_usage_is_that_of_the_program_and_its_children() -> None:
    work = "x = b'1' * 200_000_000; sum(range(10**6))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    used = programs.run([sys.executable, "-c", child])
    assert used.peak > 200
    assert used.seconds > 0 < used.cpu
    assert programs.run(["true"]).peak < 20  # not that of this process
    with pytest.raises(SystemExit, match="failed"):
        programs.run(["false"])


def test_a_tool_that_damages_a_file_fails() -> None:
    need("/usr/sbin/nginx")
    wrong = tools.Tool("wrong", lambda urls, folder, workers: ["sh", "-c", f"echo no > {folder}/got/f0"])
    workload = tools.Workload(1, 3, 1)
    with nginx.nginx() as server:
        server.make(workload.files, workload.size)
        with pytest.raises(AssertionError, match="wrong damaged f0"):
            tools.fetch(wrong, server, workload)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("<frozen importlib._bootstrap>", profiles.IMPORTS),
        (f"{sysconfig.get_path('stdlib')}/http/client.py", "Python: http"),
        (f"{sysconfig.get_path('stdlib')}/threading.py", "Python: threading"),
        (f"{sysconfig.get_path('stdlib')}/site-packages/urllib3/util/retry.py", "urllib3"),
        ("/venv/lib/python3/site-packages/argosy/http/adapter.py", "argosy.http"),
        ("/home/ada/argosy/core/argosy/transfer/download.py", "argosy.transfer"),
        ("/home/ada/argosy/core/argosy/api.py", "argosy.api"),
        ("/home/ada/plugins/argosy_plugins/transports/curl.py", "argosy_plugins.transports"),
    ],
)
def test_a_profile_tells_the_parts_of_a_program(path: str, part: str) -> None:
    assert profiles.part_of(path) == part


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page without figures, in place of the real one."""
    path = tmp_path / "page.md"
    parts = (document.SLOWER, document.GOALS, document.FIGURES)
    path.write_text("before\n" + "between\n".join(f"{part}{document.END}" for part in parts) + "after\n", "utf-8")
    monkeypatch.setattr(document, "PAGE", path)
    return path


def test_the_page_keeps_what_was_not_measured_again(page: Path) -> None:
    for number, name in enumerate(["startup", "pool", "startup"]):
        goal = Goal(f"goal {number}", 2.0, 1.0)
        document.write({"load": str(number)}, {name: [Table(f"Table {number}", [{"n": number}], [], [goal])]})
    text = page.read_text("utf-8")
    assert "Table 0" not in text
    assert text.index("before") < text.index("### pool") < text.index("Table 1") < text.index("### startup")
    assert text.index("load 2") < text.index("Table 2") < text.index("after")
    goals = text.partition(document.GOALS)[2].partition(document.END)[0]
    assert [line.split()[1:4] for line in goals.splitlines() if "goal " in line][1:] == [
        ["pool", "|", "goal"],
        ["startup", "|", "goal"],
    ]
    assert "goal 1" in goals
    assert "goal 2" in goals
    assert "goal 0" not in goals


def test_the_page_forgets_a_benchmark_that_is_gone(page: Path) -> None:
    document.write({}, {"gone": [Table("Old", [{"n": 1}], [], [Goal("an old goal", 1.0, 2.0)])]})
    document.write({}, {"pool": [Table("New", [{"n": 1}])]})
    text = page.read_text("utf-8")
    assert "### pool" in text
    assert "old" not in text.lower()


def test_the_page_leads_with_what_is_slower(page: Path) -> None:
    def rows(ours: float, **others: float) -> list[dict[str, Cell]]:
        return [{"tool": tool, "seconds": seconds} for tool, seconds in {"argosy": ours, **others}.items()]

    tables = [Table("small", rows(2.0, curl=1.0, aria2=4.0)), Table("large", rows(3.0, curl=1.0, aria2=2.0))]
    document.write({}, {"peers": [*tables, Table("system calls", [{"tool": "argosy", "calls": 1.0}])]})
    text = page.read_text("utf-8").partition(document.END)[0]
    found = [line.replace(" ", "") for line in text.splitlines() if line.startswith("| ")]
    assert found == ["|workload|tool|argosy|", "|large|curl|3.00|", "|small|curl|2.00|", "|large|aria2|1.50|"]


def test_a_goal_is_met_at_its_limit() -> None:
    assert Goal("at most", 1.0, 1.0).met
    assert not Goal("at most", 1.01, 1.0).met
    assert Goal("at least", 1.0, 1.0, at_least=True).met
    assert not Goal("at least", 0.99, 1.0, at_least=True).met
    table = Table("T", [], ["A note."], [Goal("seconds", 1.01, 1.0), Goal("more", 2.0, 1.0, at_least=True)])
    assert table.render().splitlines()[2:] == [
        "A note.",
        "",
        "- Goal: seconds: at most 1; measured 1.01, **missed**.",
        "- Goal: more: at least 1; measured 2.00.",
    ]
