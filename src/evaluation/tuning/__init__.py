"""Search of CRF parameters."""
