"""What every provider's process begins with: its settings, and the port it listens on."""
