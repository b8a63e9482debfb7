"""From a commit to what runs: images, what is in them, releases. It needs nothing but Python and a container engine."""
