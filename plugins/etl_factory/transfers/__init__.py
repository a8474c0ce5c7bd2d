"""The providers' transfer operators, mended: one module per source type, named for its two ends."""
