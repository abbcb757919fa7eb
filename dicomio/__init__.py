"""dicomio."""
