"""`./dev demo`: a whole system on one machine, over loopback, with embedded engines."""
