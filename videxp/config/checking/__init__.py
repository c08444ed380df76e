"""Everything that is wrong with a config, before anything is built."""
