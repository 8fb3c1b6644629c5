"""Every rule's methods have their papers, each once."""

import re

import pytest

from hullscout.campaign.citations import citations_of
from hullscout.campaign.config import RULES, check_config


@pytest.mark.parametrize("rule", [rule.model_fields["rule"].default for rule in RULES])
def test_each_rule_cites_its_methods_once(rule):
    tree = {"name": "a", "elements": ["Ag", "Pd"], "pool": {"path": "a"}, "select": {"rule": rule}}
    citations = citations_of(check_config(tree, source="test"))
    texts = [citation.text for citation in citations]
    assert len(texts) == len(set(texts)) >= 5
    assert any("3, 045017 (2022)" in text for text in texts)
    assert any("convex hulls into active learning" in text for text in texts) == (rule == "hull-posterior")
    for citation in citations:
        assert re.search(r"\((19|20)\d\d\)\.$", citation.text)
        assert citation.doi is None or re.fullmatch(r"10\.\d{4,}/\S+", citation.doi)
        assert citation.used_for.endswith(".")
