"""Outputs of codes as small as they can be read: pw.x of Quantum ESPRESSO, and changes to an OUTCAR that VASP wrote."""

from pathlib import Path

import ase
import numpy as np

OUTCAR = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "OUTCAR_example_1"

PW = """
     Program PWSCF v.7.2 starts on  1Jan2024 at  0: 0: 0
     bravais-lattice index     =            0
     lattice parameter (alat)  =       {alat:.4f}  a.u.
     unit-cell volume          =     {volume:.4f} (a.u.)^3
     number of atoms/cell      =            {n}
     number of atomic types    =            {n_types}
     number of electrons       =        {electrons:.2f}
     kinetic-energy cutoff     =      {cutoff:.4f}  Ry
     charge density cutoff     =     480.0000  Ry
     Exchange-correlation= {functional}
     celldm(1)=   {alat:.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000
     celldm(4)=   0.000000  celldm(5)=   0.000000  celldm(6)=   0.000000
     crystal axes: (cart. coord. in units of alat)
{axes}
     PseudoPot. # 1 for {symbol} read from file:
     ./{symbol}.upf
     MD5 check sum: {digest}

     atomic species   valence    mass     pseudopotential
        {symbol}            4.00    28.08500     {symbol}( 1.00)

     site n.     atom                  positions (alat units)
{atoms}
     number of k points=     {n_points}{smearing}
                       cart. coord. in units 2pi/alat
{points}

{body}
!    total energy              =     {energy_ry:.8f} Ry
{entropy}
     convergence has been achieved in  12 iterations
{after}
     Forces acting on atoms (cartesian axes, Ry/au):

{forces}
     Total force =     {force:.6f}     Total SCF correction =     0.000026
{end}
   JOB DONE.
"""


def pw_text(
    atoms,
    energy_ry,
    *,
    body="",
    after="",
    end="",
    force=0.0,
    functional="PBE ( 1 4 3 4 0 0 0)",
    cutoff=60.0,
    charge=0.0,
    digest="0123abcd",
    points=((0.0, 0.0, 0.0),),
    smearing=None,
    entropy_ry=None,
):
    """The output of pw.x for a crystal of one element; what it prints elsewhere is given as text, points in reciprocal vectors."""
    bohr = 0.529177210544
    alat = float(np.linalg.norm(atoms.cell.array[0]))
    axes = atoms.cell.array / alat
    cartesian = np.asarray(points) @ np.linalg.inv(axes).T
    symbol = atoms[0].symbol
    places = [f"   {x:.7f}   {y:.7f}   {z:.7f}  )" for x, y, z in atoms.positions / alat]
    return PW.format(
        alat=alat / bohr,
        volume=atoms.get_volume() / bohr**3,
        n=len(atoms),
        n_types=1,
        electrons=4.0 * len(atoms) - charge,
        cutoff=cutoff,
        functional=functional,
        axes="\n".join(
            f"               a({i}) = (  {x:.6f}   {y:.6f}   {z:.6f} )" for i, (x, y, z) in enumerate(axes, 1)
        ),
        symbol=symbol,
        digest=digest,
        atoms="\n".join(
            f"         {i}           {symbol}  tau(   {i}) = ({place}" for i, place in enumerate(places, 1)
        ),
        n_points=len(points),
        smearing="" if smearing is None else f"  {smearing} smearing, width (Ry)=  0.0200",
        points="\n".join(
            f"        k(    {i}) = (   {x:.7f}   {y:.7f}   {z:.7f}), wk =   1.0000000"
            for i, (x, y, z) in enumerate(cartesian, 1)
        ),
        body=body,
        energy_ry=energy_ry,
        entropy="" if entropy_ry is None else f"     smearing contrib. (-TS)   =      {entropy_ry:.8f} Ry",
        after=after,
        forces="\n".join(
            f"     atom    {i} type  1   force =     {force if i == 1 else 0.0:.8f}    0.00000000    0.00000000"
            for i in range(1, len(atoms) + 1)
        ),
        force=force,
        end=end,
    )


def outcar_text(*changes):
    """The OUTCAR of a static run of Ni18 by VASP 5.3.3, with changes: what stands there, and what shall."""
    text = OUTCAR.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text
