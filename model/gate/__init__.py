"""May a challenger take the champion's place? Both answer the same newest rows, as the service answers them."""
