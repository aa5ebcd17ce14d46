"""The notes beside an item's staged files."""

from __future__ import annotations

from pathlib import Path

from argosy.models.response_record import ResponseRecord
from argosy.state.staging import Notes

RECORD = ResponseRecord("http://a.example/x", 200, "OK", "HTTP/1.1", (("ETag", '"1"'),), (), 100.0)


def test_a_note_comes_back_whenever_the_writer_was_killed(tmp_path: Path) -> None:
    record, whole, other = RECORD, tmp_path / "0-ab", tmp_path / "1-cd"
    notes = Notes(tmp_path / "notes.jsonl")
    assert notes.read(whole) == (None, None)
    notes.write(whole, "report.pdf", record)
    notes.write(other, None, record)
    assert [Notes(tmp_path / "notes.jsonl").read(path) for path in (whole, other)] == [
        ("report.pdf", record),
        (None, record),
    ]
    text = (tmp_path / "notes.jsonl").read_text("utf-8")
    for end in range(0, len(text), 7):
        (tmp_path / "notes.jsonl").write_text(text[:end], "utf-8")
        assert Notes(tmp_path / "notes.jsonl").read(other) in ((None, None), (None, record))
        Notes(tmp_path / "notes.jsonl").write(whole, "again.pdf", record)
        assert Notes(tmp_path / "notes.jsonl").read(whole) == ("again.pdf", record)


def test_the_last_note_of_an_item_may_wait(tmp_path: Path) -> None:
    record, notes = RECORD, Notes(tmp_path / "notes.jsonl")
    notes.write(tmp_path / "0", None, record, later=True)
    assert list(tmp_path.iterdir()) == []
    notes.flush()
    assert Notes(tmp_path / "notes.jsonl").read(tmp_path / "0") == (None, record)


def test_an_unsafe_name_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"of": "0", "name": "../x", "response": null}\n', "utf-8")
    assert Notes(tmp_path / "notes.jsonl").read(tmp_path / "0") == (None, None)
