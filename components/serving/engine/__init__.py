"""What computes: queues, limits and threads of the served versions."""
