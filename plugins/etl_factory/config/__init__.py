"""What the tenants' YAML says, as frozen models."""
