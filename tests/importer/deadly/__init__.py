"""An app for processes that tests start: a market with stocks that kill whoever asks for them, and short leases."""
