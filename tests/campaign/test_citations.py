"""Every rule's methods have their papers, each once."""

import re

import pytest

from hullscout.campaign import check_config, read_origin
from hullscout.citations import citations_of
from hullscout.selection import RULES


@pytest.mark.parametrize("rule", list(RULES.ours))
def test_each_rule_cites_its_methods_once(rule):
    tree = {"name": "a", "elements": ["Ag", "Pd"], "pool": {"path": "a"}, "select": {"rule": rule}}
    config = check_config(tree, source="test")
    citations = citations_of((*config.representation.citations, *config.select.citations))
    texts = [citation.text for citation in citations]
    assert len(texts) == len(set(texts)) >= 5
    assert any("3, 045017 (2022)" in text for text in texts)
    assert any("convex hulls into active learning" in text for text in texts) == (rule == "hull-posterior")
    for citation in citations:
        assert re.search(r"\((19|20)\d\d\)\.$", citation.text)
        assert citation.doi is None or re.fullmatch(r"10\.\d{4,}/\S+", citation.doi)
        assert citation.used_for.endswith(".")


def test_the_citation_file_is_of_this_version():
    from pathlib import Path

    from ruamel.yaml import YAML

    import hullscout

    tree = YAML(typ="safe").load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
    assert (tree["title"], tree["version"]) == ("Hullscout", hullscout.__version__)
    assert {"cff-version", "message", "authors"} <= tree.keys()


def test_the_command_line_lists_the_papers_of_a_campaign(campaign_file, tmp_path):
    from click.testing import CliRunner

    from hullscout.campaign import Store
    from hullscout.cli import main

    origin = read_origin(campaign_file)
    with Store.create_or_resume(tmp_path / "run", origin):
        pass
    lines = CliRunner().invoke(main, ["cite", str(tmp_path / "run")]).output.splitlines()
    assert lines[0].startswith("The Hullscout developers: Hullscout, version ")
    assert len(lines) == 1 + len(
        citations_of((*origin.config.representation.citations, *origin.config.select.citations))
    )
    assert "doi:10.1088/2632-2153/aca005" in lines[1]
    assert len(CliRunner().invoke(main, ["cite"]).output.splitlines()) == 2


def test_every_paper_is_an_entry_of_bibtex_with_what_its_kind_needs(campaign_file, tmp_path):
    from click.testing import CliRunner

    from hullscout import citations
    from hullscout.campaign import Store
    from hullscout.cli import main

    papers = [one for one in vars(citations).values() if isinstance(one, citations.Citation)]
    needed = {"article": {"journal", "pages"}, "book": {"publisher"}, "inproceedings": {"booktitle", "pages"}}
    entries = [paper.bibtex for paper in papers]
    for paper, entry in zip(papers, entries, strict=True):
        kind, fields = entry[1:].partition("{")[0], dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
        assert {"author", "title", "year", "note", *needed[kind]} <= fields.keys()
        assert ("doi" in fields, fields["title"][1:-1] in paper.text) == (paper.doi is not None, True)
        assert entry.count("{") == entry.count("}")
    assert len({one.partition(",")[0] for one in entries}) == len({paper.text for paper in papers})
    with Store.create_or_resume(tmp_path / "run", read_origin(campaign_file)):
        pass
    text = CliRunner().invoke(main, ["cite", "--bibtex", str(tmp_path / "run")]).output
    assert text.startswith("@software{hullscout,\n")
    assert text.count("@article{huo2022unified,") == 1
    assert CliRunner().invoke(main, ["cite", "--bibtex"]).output.count("@") == 1
