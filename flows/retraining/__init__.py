"""One retraining: its steps, what a person sees of it, what the machine holds."""
