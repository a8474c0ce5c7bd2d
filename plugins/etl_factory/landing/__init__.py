"""The landing bucket: where a run keeps its plan, its objects and its manifests."""
