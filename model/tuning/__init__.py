"""The search for better training parameters; it never meets the test rows."""
