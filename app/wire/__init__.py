"""Wire codecs: bytes to a matrix, predictions to bytes. They know no HTTP and no model."""
