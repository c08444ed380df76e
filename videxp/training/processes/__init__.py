"""The processes of a run: ranks, signals, and agreement between them."""
