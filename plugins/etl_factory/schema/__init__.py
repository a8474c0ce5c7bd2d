"""Names, types and contract: Arrow in, Arrow out, no I/O."""
