"""What detectors find in films, frame by frame in constant memory."""
