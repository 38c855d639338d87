"""The doors under hostile messages: every partner, every inbound topic, the real stack. `make fuzz`."""
