"""What an attack costs: processor time for each KiB, and the wait of an innocent client beside it."""
