"""What is done at moments of the training: checkpoints, progress, samples, thinned metrics."""
