"""What the validate stage expects of a manifest, and how it finds out."""
