"""Recipe, overrides and files to one config, through Hydra."""
