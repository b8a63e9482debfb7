"""What models are trained on: instances with outcomes, checked, split by time, kept as files."""
