"""How the user guide is built: `sphinx-build -W --keep-going -n .docs BUILD`. It needs no network.

With `-t without_source` it has no pages of source code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

from hullscout import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx

project = "Hullscout"
author = "The Hullscout developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
if not tags.has("without_source"):  # noqa: F821  Sphinx sets it
    extensions.append("sphinx.ext.viewcode")  # most of the time of a build

# Commands are copied: two dashes stay two dashes.
smartquotes = False

# Links point at files and headings, so that they also work where the Markdown itself is read.
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are in Google form, with single backticks for code.
default_role = "literal"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"Hullscout {version}"
html_math_renderer = "mathml"
html_show_sourcelink = False
html_show_copyright = False

# What annotations name and this guide does not describe: types of other packages, written as the modules import them...
_OTHER_PACKAGES = (
    r"(ase|np|npt|numpy|collections|concurrent|enum|json|pathlib|annotated_types|pydantic)\..*",
    r"(ArrayLike|Axes|Callable|Field|Figure|Iterable|Mapping|NDArray|Path|Sequence|Structure)",
    r"(BeforeValidator|NonNegativeInt|PositiveFloat|PositiveInt)",
    r"(datetime|lzma|sqlite3|zlib)\..*",
)
# ... and our own: short names of array types, and what stays inside a room.
_OWN_NAMES = (
    r"(Amount|Arguments|BoolArray|Count|CountOrZero|Floats|Indices|Mask|Moments|OpenWorkers)",
    r"hullscout\.\w+(\.\w+)*\._\w+",
    r"(hullscout\.regression\.\w+\.)?(Component|Compression|Estimator|Grouping|Regressor|ScoredSetting|SearchPoint)",
    r"(hullscout\.\w+\.\w+\.)?(Engine|NewCampaign|Origin|PlannedCampaign|Played|ReplayPath|State)",
    r"(S|Weighting|Citation|names_of_columns|_name_of_relaxation)",
    r"(AnyExecutor|Lattice|Normalization|Output|Predictor|Progress|Recipe|MBTRDefinition|TermCounts)",
)
nitpick_ignore_regex = [(r"py:.*", name) for name in (*_OTHER_PACKAGES, *_OWN_NAMES)]


def _keep_whole(_app: Sphinx, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Tell napoleon that the text before a colon in the docstring of an attribute is no type."""
    if what in {"attribute", "data", "property"} and lines:
        lines[0] = f":{lines[0]}"


def _write_inline(translator: Any, node: Element) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _write_block(translator: Any, node: Element) -> None:
    translator.body.append(
        f'<div class="equation" style="overflow-x: auto">{tex2mathml(node.astext(), as_block=True)}</div>\n'
    )
    raise SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx. Equations become MathML, which browsers draw without a network."""
    app.add_html_math_renderer("mathml", (_write_inline, None), (_write_block, None))
    app.connect("autodoc-process-docstring", _keep_whole, priority=400)
