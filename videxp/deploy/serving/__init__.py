"""An HTTP service: a video in, what `videxp predict` makes of it out.

`server.serve` is the way in, `loading` what it is given. `app` answers addresses, `uploads` takes files in, `pool`
gives them to workers in batches, `forking` starts those, `served` is what a worker does, `inspecting` what it refuses
before it decodes anything.
"""
