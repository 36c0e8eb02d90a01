"""How the documentation is built."""

from importlib import metadata

project = "homevisit_eval"
author = "The homevisit_eval maintainers"
release = metadata.version("homevisit-eval")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
autosummary_generate = True
autodoc_typehints = "signature"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
html_theme = "pydata_sphinx_theme"
html_title = "homevisit_eval"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
