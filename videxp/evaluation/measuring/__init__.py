"""What the axis of speed times: a trained network by itself, from file to answer, and in a process of its own."""
