"""Many runs of one recipe: the space that they cover, the search through it, and where they run.

Every trial is a run folder whose config.yaml is written before anything is started. `videxp resume FOLDER` in a fresh
process begins it, goes on with it after a kill, and does nothing where it is finished.
"""
