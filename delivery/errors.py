"""What ends a delivery."""


class DeliveryFailed(Exception):
    """Something could not be built or delivered; the text says what, and what to do."""
