"""The training side: data, training, evaluation, registration. Never part of the serving image."""
