"""The commands of `facetgrade` that take more than a few lines, one file each."""
