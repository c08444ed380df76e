"""Networks that give a video a label."""
