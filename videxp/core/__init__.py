"""What every room uses and what knows nothing of video: errors, files, limits, randomness, secrets."""
