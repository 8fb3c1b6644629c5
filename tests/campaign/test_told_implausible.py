"""What a table may be told by mistake, and what only looks like a mistake.

An energy that no alloy has beside the others is not taken, so that it can be told again corrected; the others are.
"""

import pytest

from hullscout import Campaign
from hullscout.errors import ProtocolError

KNOWN = ["fcc-A1-0001,-0.01", "fcc-B1-0001,0.0"]
SLIP = "fcc-A2B1-0001,-20000"


def csv_of(tmp_path, *lines):
    path = tmp_path / "results.csv"
    path.write_text("\n".join(("id,energy_ev", *lines)) + "\n")
    return path


@pytest.mark.parametrize("n_before", [0, 2], ids=["all at once", "after the elements"])
def test_a_slip_is_refused_by_id_and_taken_when_it_is_corrected(hullscout, handoff, tmp_path, n_before):
    out, _ = handoff
    if n_before:
        assert hullscout("tell", out, csv_of(tmp_path, *KNOWN))[0] == 0
    others = [*KNOWN, "fcc-A1B1-0001,-0.05"]
    code, text = hullscout("tell", out, csv_of(tmp_path, SLIP, *others))
    assert (code, f"{len(others) - n_before} new energ" in text) == (2, True), text
    assert "results.csv, line 2: expected an energy of 'fcc-A2B1-0001' within 5 eV/atom of " in text
    assert "found -6666.67 eV/atom. It was not taken" in text
    code, text = hullscout("tell", out, csv_of(tmp_path, "fcc-A2B1-0001,-0.06"))
    assert (code, "1 new energy" in text) == (0, True), text


def test_whole_numbers_under_names_of_their_own_are_no_decimal_commas(hullscout, handoff, tmp_path):
    out, outbox = handoff
    hullscout("ask", out, "-n", 4, "--to", outbox)
    table = tmp_path / "results.csv"
    table.write_text("id,energy_ev,wall_s\nfcc-A1-0001,-2,3600\nfcc-B1-0001,-3,\n")
    code, text = hullscout("tell", out, table)
    assert (code, "2 new energies" in text) == (0, True), text
    table.write_text("id,energy_ev,wall_s\nfcc-A1-0001,-2,3600\nfcc-B1-0001,-3,5,3600\n")
    code, text = hullscout("tell", out, table)
    assert (code, "which may be -2,3600 with a decimal comma" in text) == (2, True), text


def test_it_is_refused_in_python(hullscout, handoff, tmp_path):
    out, _ = handoff
    hullscout("tell", out, csv_of(tmp_path, *KNOWN))
    campaign = Campaign(out)
    with pytest.raises(ProtocolError, match=r"within 5 eV/atom of -0\.00666667 eV/atom"):
        campaign.tell("fcc-A2B1-0001", -20000.0)
    campaign.tell("fcc-A2B1-0001", -0.06)
