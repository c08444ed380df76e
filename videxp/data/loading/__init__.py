"""From a manifest to batches: choice of frames, data set, sampler, workers."""
