"""Networks that see where one shot of a video ends and the next begins."""
