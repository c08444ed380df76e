"""How data sets lie on disk: folders, lists, published sets, and two that make themselves."""
