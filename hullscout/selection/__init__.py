"""What to look up next, and when to stop: small rules behind one interface (`interface.Rule`)."""
