"""While a campaign runs in a notebook, one line there says where it stands; elsewhere what is asked for is called."""

import nbformat
from nbclient import NotebookClient

from hullscout import Campaign
from hullscout.display import notebook_line

SETTINGS = ["select.rule=greedy", "stop.max_calculations=12"]


def test_what_is_given_is_told_after_each_answer_where_the_campaign_stands(campaign_file, tmp_path):
    said = []
    campaign = Campaign.create(campaign_file, tmp_path / "run", settings=SETTINGS)
    campaign.run(on_progress=said.append)
    assert len(said) == 12
    assert said[-1].startswith("small: round ")
    assert ", 12 of 57 looked up, 78.9 % saved, " in said[-1]
    assert said[-1].endswith(f"hull {' '.join(campaign.history.now.hull_formulas)}")


def test_outside_of_a_notebook_nothing_is_said(campaign_file, tmp_path, capsys):
    assert notebook_line() is None
    Campaign.create(campaign_file, tmp_path / "run", settings=SETTINGS).run()
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_it_on_one_line_and_the_result_as_a_table(campaign_file):
    code = (
        "from hullscout import Campaign\n"
        f"campaign = Campaign.create({str(campaign_file)!r}, 'run', settings={SETTINGS!r})\n"
        "campaign.run()"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(campaign_file.parent)}}).execute()
    line, result = notebook.cells[0].outputs
    assert line.output_type == "display_data"
    assert ", 12 of 57 looked up, 78.9 % saved, " in line.data["text/plain"]
    assert line.data["text/html"].startswith("<p>small: round ")
    assert result.output_type == "execute_result"
    assert "<table>" in result.data["text/html"]
