"""Search for CRF parameters."""
