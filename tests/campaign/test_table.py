"""What a live campaign computed can be replayed as a table."""

import json


def test_a_table_of_the_answers_replays_to_the_same_hull(hullscout, live_file, tmp_path):
    out = tmp_path / "out"
    assert hullscout("run", live_file, "--out", out)[0] == 0
    code, text = hullscout("table", out, "-o", tmp_path / "table.extxyz.gz")
    assert (code, "10 candidates, 10 with their energies" in text) == (0, True)
    replay = ["--set", "oracle={kind = 'table'}", "--set", "pool.path=table.extxyz.gz", "--out", tmp_path / "replay"]
    assert hullscout("run", live_file, *replay)[0] == 0
    first, second = (json.loads((folder / "result.json").read_text()) for folder in (out, tmp_path / "replay"))
    assert first["hull"] == second["hull"]
    assert second["reference"]["exact"]
    assert hullscout("table", out, "-o", tmp_path / "table.extxyz.gz")[0] == 2
