"""Who speaks: providers of voices, a file each."""
