"""Random faults under load, by a seed: `./dev fault SECONDS`. What clients did is recorded and compared with what a cluster
that keeps its promises can have done."""
