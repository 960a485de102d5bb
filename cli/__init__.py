"""The `tunery` command: sets a machine up, starts the servers, and looks after a deployment."""
