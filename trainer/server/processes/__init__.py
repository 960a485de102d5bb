"""Where the processes of jobs run: on this machine, or in a Ray cluster."""
