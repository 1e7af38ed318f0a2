"""The API page: `sphinx-build -W docs site`, with the package installed."""

import retrodict

project = "retrodict"
release = version = retrodict.__version__
extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
html_theme = "alabaster"
html_theme_options = {"nosidebar": True}
