"""Dense CRFs of any pairwise terms: any features, normalisation and label compatibility."""
