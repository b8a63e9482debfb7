"""The example: the flights out of New York in 2013, and what is asked of them."""
