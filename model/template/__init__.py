"""A project to copy: docs/training.md."""
