"""Evaluates a forest: a float32 matrix of codes and numbers in, margins and predictions out."""
