"""Side by side with other servers: the same model and the same rows behind each, timed in turns."""
