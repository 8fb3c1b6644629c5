"""How candidates become numbers: named blocks (n, d) of features.

The MBTR is one representation; anybody's class with a method `blocks` is another, by its dotted path in `[representation] kind`.
Campaigns, plans, figures and citations ask for blocks, panels and papers, and name none of them.
"""

from hullscout.representation.in_parts import features_of
from hullscout.representation.interface import REPRESENTATIONS, Panel, Representation, checked_blocks
from hullscout.representation.many_body import MbtrRepresentation

__all__ = ["REPRESENTATIONS", "MbtrRepresentation", "Panel", "Representation", "checked_blocks", "features_of"]
