from benchmarks import docs, runner


def test_what_was_not_measured_here_stays_on_the_page(tmp_path, monkeypatch):
    before = docs.PAGE.read_text("utf-8")
    page = tmp_path / "benchmarks.md"
    page.write_text(before, encoding="utf-8")
    for plot in docs.PAGE.parent.glob("benchmarks-*.svg"):
        (tmp_path / plot.name).write_bytes(plot.read_bytes())
    monkeypatch.setattr(docs, "PAGE", page)
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "results")
    docs.write()
    after = page.read_text("utf-8")
    chapters = [chapter for chapter in before.split("\n## ") if not chapter.startswith("What we set out for")]
    assert [chapter for chapter in chapters if chapter.rstrip() not in after] == []
    assert docs.write().read_text("utf-8") == after
