"""What other codes print of how a run ended: finished, electrons, atoms, and runs of another kind, in lines as they print them."""

from __future__ import annotations

import pytest

from hullscout.errors import ResultError
from hullscout.pool.calculations.printed import CODES, code_of, verdict

CASTEP = "      CCC   AA    SSS  TTTTT  EEEEE  PPPP\n type of calculation                            : {}\n"
AIMS = "          Invoking FHI-aims ...\n  FHI-aims version      : 221103\n"
ABINIT = ".Version 9.6.2    of ABINIT\n            ionmov           {}\n"
GPAW = "  ___ ___ ___ _ _ _  \n |   |   |_  | | | | \n | | | | | . | | | | \n |__ |  _|___|_____|  22.8.0\n |___|_|\n"
PW = "     Program PWSCF v.7.2 starts on  1Jan2024 at  0: 0: 0\n"
END = {
    "CASTEP": "Total time          =      9.33 s\n",
    "FHI-aims": "          Have a nice day.\n",
    "ABINIT": " Calculation completed.\n",
    "GPAW": "Total:                                        10.889 100.0%\n\nDate: Tue May 12 08:37:08 2020\n",
    "pw.x of Quantum ESPRESSO": "   JOB DONE.\n",
}
AT_REST = {
    "CASTEP": CASTEP.format("geometry optimization") + " LBFGS: Geometry optimization completed successfully.\n",
    "FHI-aims": AIMS
    + "  Self-consistency cycle not yet converged - restarting mixer to attempt better convergence.\n"
    + "  Geometry optimization: Attempting to predict improved coordinates.\n  Present geometry is not yet converged.\n"
    + "  at the end of a run (AFTER all relaxation, molecular dynamics, etc.).\n  Present geometry is converged.\n",
    "ABINIT": ABINIT.format(2)
    + " nstep=    6 was not enough SCF cycles to converge;\n At SCF step    7, etot is converged :\n"
    + " At Broyd/MD step   5, gradients are converged :\n",
    "GPAW": GPAW + "Converged after 13 iterations.\n",
    "pw.x of Quantum ESPRESSO": PW
    + "     BFGS Geometry Optimization\n     convergence has been achieved in  12 iterations\n"
    + "     bfgs converged in   6 scf cycles and   5 bfgs steps\n     End of BFGS Geometry Optimization\n",
}
ODD = [
    (
        CASTEP.format("geometry optimization")
        + " BFGS: WARNING - Geometry optimization failed to converge after  30 steps.\n",
        "rest",
    ),
    (CASTEP.format("geometry optimization"), "CASTEP does not say so"),
    (
        CASTEP.format("single point energy")
        + "*Warning* max. SCF cycles performed but system has not reached the groundstate.\n",
        "elec",
    ),
    (
        CASTEP.format("single point energy")
        + " Warning: electronic minimisation did not converge when finding ground state.\n",
        "The electrons did not converge",
    ),
    (
        AIMS + "* WARNING! SELF-CONSISTENCY CYCLE DID NOT CONVERGE\n* USING YOUR PRESELECTED ACCURACY CRITERIA.\n",
        "The electrons",
    ),
    (
        AIMS
        + "  Geometry optimization: Attempting to predict improved coordinates.\n  Present geometry is not yet converged.\n",
        "rest",
    ),
    (AIMS + "  Aborting optimization.\n", "The relaxation was given up"),
    (
        ABINIT.format(22) + "  ntime=   10 was not enough Broyd/MD steps to converge gradients:\n",
        "The atoms did not come to rest",
    ),
    (ABINIT.format(7), "ABINIT does not say so"),
    (" At SCF step    7, etot is converged :\n  nstep=   20 was not enough SCF cycles to converge;\n", "The electrons"),
    (GPAW + "Did not converge!\n", "The electrons did not converge"),
    (PW + "     convergence NOT achieved after 100 iterations: stopping\n", "The electrons did not converge"),
    (
        PW + "     BFGS Geometry Optimization\n     The maximum number of steps has been reached.\n",
        "maximum number of steps",
    ),
    (PW + "     Wentzcovitch Damped Cell Dynamics Minimization\n", "does not say so"),
    (PW + "     Parrinello-Rahman Damped Cell-Dynamics Minimization:\n", "does not say so"),
]
OTHERS = [
    CASTEP.format("molecular dynamics"),
    CASTEP.format("transition state search"),
    CASTEP.format("phonon calculation"),
    AIMS + "  Running Born-Oppenheimer molecular dynamics in NVE ensemble.\n",
    ABINIT.format(12),
    ABINIT.replace("ionmov ", "ionmov2").format(8),
    PW + "     Molecular Dynamics Calculation\n",
    PW + "     Band Structure Calculation\n",
]


@pytest.mark.parametrize("code", CODES, ids=[code.name for code in CODES])
def test_a_run_that_ended_at_rest_is_taken_and_one_without_its_end_is_cut_off(code):
    text = AT_REST[code.name]
    assert code_of(text) is code
    assert verdict(text + END[code.name], code) == ""
    with pytest.raises(ResultError, match="is cut off"):
        verdict(text, code)


@pytest.mark.parametrize(("text", "said"), ODD)
def test_what_did_not_converge_is_said(text, said):
    code = code_of(text) or next(code for code in CODES if code.name == "ABINIT")
    assert said in verdict(text + END[code.name], code)


@pytest.mark.parametrize("text", OTHERS)
def test_runs_of_another_kind_are_refused(text):
    code = code_of(text)
    with pytest.raises(ResultError, match="expected a static run or a relaxation, found"):
        verdict(text + END[code.name], code)
